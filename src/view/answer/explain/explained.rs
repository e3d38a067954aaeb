//! Pure. Explanations of the lines of a file, as data.

use serde::Serialize;

/// Explanation of one line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Name of the line; the file's name where lines have none.
    pub name: String,
    /// Value of the line as the container reads it, without the name.
    pub value: String,
    /// Formula of the value, in words.
    pub formula: String,
    /// Directory of the cgroup whose limit decided, or `the machine`; `None` where no limit
    /// decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Inputs of the formula.
    pub inputs: Vec<Input>,
}

/// Input of a formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Path on the host of the file that was read.
    pub file: String,
    /// Line or key of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Value in the file.
    pub value: String,
}
