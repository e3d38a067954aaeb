//! The error of a request, and its errno.

use super::{open_files::TooManyOpenFiles, triggers::TriggerError};
use crate::{base::sys::ReadError, facts::container::CallerError, view::answer::AnswerError};
use fuser::Errno;

/// The error of a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplyError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("cannot find the container")]
    Container(#[from] ReadError),
    #[error(transparent)]
    TooManyOpenFiles(#[from] TooManyOpenFiles),
    #[error(
        "requests of the container made daemons hang: its direct files are refused for a minute"
    )]
    Refused,
    #[error("a process of the host has no container")]
    IsHost,
    #[error("the file does not exist")]
    Absent,
    #[error("the file cannot be written")]
    ReadOnly,
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

impl ReplyError {
    /// Returns the errno that the caller gets.
    pub(super) fn errno(&self) -> Errno {
        match self {
            ReplyError::Container(error) if error.is_gone() => Errno::ENOENT,
            ReplyError::IsHost | ReplyError::Absent => Errno::ENOENT,
            ReplyError::TooManyOpenFiles(_) => Errno::ENFILE,
            ReplyError::ReadOnly => Errno::EROFS,
            ReplyError::Trigger(error) => error.errno(),
            ReplyError::Answer(AnswerError::Unseen { .. }) => Errno::ENOENT,
            _ => Errno::EIO,
        }
    }
}
