//! Pure. An error with its causes, as one line of text.

use std::error::Error;

/// Joins an error and its causes in one line. A cause whose text an earlier error contains already
/// is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Said {
        #[error("cannot start")]
        Outer(#[source] Box<Said>),
        #[error("cannot read: {0}")]
        Repeating(#[source] Box<Said>),
        #[error("no such file")]
        Inner,
    }

    #[test]
    fn every_cause_is_said_once() {
        let error = Said::Outer(Box::new(Said::Repeating(Box::new(Said::Inner))));
        assert_eq!(chain(&error), "cannot start: cannot read: no such file");
    }
}
