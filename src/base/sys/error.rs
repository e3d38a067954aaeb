//! Why a file of the kernel tells nothing.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a file of the kernel tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The kernel does not give it.
    #[error("cannot read {}", path.display())]
    Refused {
        /// The file, below the directory that it was asked of.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is not what the kernel documents.
    #[error("cannot make sense of {}", path.display())]
    Garbled {
        /// The file, below the directory that it was asked of.
        path: PathBuf,
    },
}

impl ReadError {
    /// Makes the error of a file that is not given; for `map_err`.
    pub fn refused(path: &Path) -> impl FnOnce(io::Error) -> ReadError + '_ {
        |source| ReadError::Refused {
            path: path.to_owned(),
            source,
        }
    }

    /// Makes the error of a file that says what the kernel does not document.
    #[must_use]
    pub fn garbled(path: &Path) -> ReadError {
        ReadError::Garbled {
            path: path.to_owned(),
        }
    }

    /// Whether the thing that was asked about is gone: no such file, or no such process.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            ReadError::Refused { source, .. } => {
                source.kind() == io::ErrorKind::NotFound
                    || matches!(source.raw_os_error(), Some(libc::ESRCH | libc::ENODEV))
            }
            ReadError::Garbled { .. } => false,
        }
    }

    /// Whether it could not be asked: there are no descriptors or there is no memory left.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self, ReadError::Refused { source, .. }
            if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)))
    }
}
