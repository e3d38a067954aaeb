//! The errors of requests, and the errno of each.

use super::{open_files::TooMany, triggers::TriggerError};
use crate::{base::sys::ReadError, facts::container::CallerError, view::answer::AnswerError};
use fuser::Errno;

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("cannot find the container")]
    Container(#[from] ReadError),
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("a process of the host has no container")]
    IsHost,
    #[error("there is no such file")]
    Absent,
    #[error("it cannot be written")]
    ReadOnly,
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

impl RequestError {
    pub(super) fn errno(&self) -> Errno {
        match self {
            RequestError::Container(error) if error.is_gone() => Errno::ENOENT,
            RequestError::IsHost | RequestError::Absent => Errno::ENOENT,
            RequestError::TooMany(_) => Errno::ENFILE,
            RequestError::ReadOnly => Errno::EROFS,
            RequestError::Trigger(error) => error.errno(),
            RequestError::Answer(AnswerError::Unseen { .. }) => Errno::ENOENT,
            _ => Errno::EIO,
        }
    }
}
