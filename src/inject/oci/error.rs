//! The errors of the wrapper.

use super::edit::ShapeError;
use std::{io, path::PathBuf};

/// The length of the longest configuration that is edited, in bytes.
pub(super) const MAX_CONFIGURATION: u64 = 64 << 20;

/// An error that keeps the wrapper from becoming the real runtime.
#[derive(Debug, thiserror::Error)]
pub enum WrapperError {
    /// No OCI runtime (runc, crun) is installed.
    #[error("there is neither runc nor crun here; name a runtime in the configuration")]
    None,
    /// The configured runtime is not installed.
    #[error("there is no runtime {}", .0.display())]
    Missing(PathBuf),
    /// The configured runtime is this program.
    #[error("the runtime {} is plimsoll itself", .0.display())]
    Itself(PathBuf),
    /// The real runtime has called this program again.
    #[error("the runtime {} calls plimsoll again", .0.display())]
    Circle(PathBuf),
    /// The kernel does not run the runtime.
    #[error("cannot run {}", path.display())]
    Exec {
        /// The runtime.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The view is required, and the container's configuration cannot be edited.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

/// An error that leaves a container's configuration as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The configuration.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The file is longer than any that an engine writes.
    #[error("{} is longer than {} MiB", .0.display(), MAX_CONFIGURATION >> 20)]
    Long(PathBuf),
    /// The file is no JSON.
    #[error("cannot parse {}", path.display())]
    Parse {
        /// The configuration.
        path: PathBuf,
        /// The position and the kind of the mistake.
        source: serde_json::Error,
    },
    /// The file is no OCI configuration.
    #[error("cannot edit {}", path.display())]
    Edit {
        /// The configuration.
        path: PathBuf,
        /// The part that is wrong.
        source: ShapeError,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The configuration.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}
