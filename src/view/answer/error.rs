//! Reasons for which a file has no answer.

use crate::base::{sys::ReadError, units::Key};

/// Error of an answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// A cgroup file of the container cannot be read, and no earlier facts of it are known.
    #[error("cannot determine the limits of container {key}")]
    Container {
        /// Key of the container.
        key: Key,
        /// Read that failed.
        source: ReadError,
    },
    /// The container does not see the CPU or memory node of the file, or its kernel does not
    /// count the pressure for it.
    #[error("{path} is not there for this container")]
    Unseen {
        /// Path of the file below `/`.
        path: String,
    },
    /// A file of the machine cannot be read.
    #[error("cannot determine the machine's facts")]
    Host(#[from] ReadError),
}
