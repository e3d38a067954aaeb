//! The reasons for which a file of the kernel cannot be read.

use nix::errno::Errno;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The reason for which a file of the kernel cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The kernel refused to open or read the file.
    #[error("cannot read {}", path.display())]
    Refused {
        /// The file, relative to the directory from which it was opened.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The content has no shape that the kernel documents.
    #[error("cannot parse {}", path.display())]
    Garbled {
        /// The file, relative to the directory from which it was opened.
        path: PathBuf,
    },
}

/// Returns true when the error says that a file, process or device is gone (ENOENT, ESRCH, ENODEV).
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENODEV))
}

impl ReadError {
    /// Returns a function for `map_err` that makes [`ReadError::Refused`] of the file `path`.
    pub fn refused(path: &Path) -> impl FnOnce(io::Error) -> ReadError + '_ {
        |source| ReadError::Refused {
            path: path.to_owned(),
            source,
        }
    }

    /// Makes [`ReadError::Garbled`] of the file `path`.
    #[must_use]
    pub fn garbled(path: &Path) -> ReadError {
        ReadError::Garbled {
            path: path.to_owned(),
        }
    }

    /// Returns true when the file, process or device is gone (ENOENT, ESRCH, ENODEV).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            ReadError::Refused { source, .. } => is_gone(source),
            ReadError::Garbled { .. } => false,
        }
    }

    /// Returns true when this program lacks descriptors or memory for the read (EMFILE, ENFILE,
    /// ENOMEM). Such an error does not depend on the file.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self, ReadError::Refused { source, .. }
            if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)))
    }
}

/// Converts the error number of rustix to that of nix, which every other room uses.
pub(super) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}
