//! Pure. The reason for the value of a line.

use super::explained::Input;
use crate::view::model::memory::Lowest;

/// Formula of a line, the limit that decided, and the inputs.
pub(super) struct Reason {
    pub(super) formula: &'static str,
    pub(super) decided: Option<Lowest>,
    pub(super) inputs: Vec<Input>,
}

impl Reason {
    pub(super) fn new(formula: &'static str) -> Reason {
        Reason {
            formula,
            decided: None,
            inputs: Vec::new(),
        }
    }

    pub(super) fn with(mut self, input: impl IntoIterator<Item = Input>) -> Reason {
        self.inputs.extend(input);
        self
    }
}

/// Returns the input with the key `key` in a file below `/proc`.
pub(super) fn proc_input(file: &str, key: &str, value: impl ToString) -> Input {
    Input {
        file: format!("/proc/{file}"),
        key: Some(key.to_owned()),
        value: value.to_string(),
    }
}
