//! The bundled runtime: a container in one command.

/// The options of `plimsoll run`, as a request for a container.
pub mod options;

/// The filter of a container's system calls.
pub mod seccomp;

/// The error of a container that cannot be run.
///
/// Uses [`options`], [`seccomp`].
pub mod error;

/// The cgroups of a container, with their limits.
///
/// Uses [`options`], [`error`].
pub mod cgroups;

/// The root of a container, and the directories that a container has on disk.
///
/// Uses [`options`], [`error`], [`cgroups`].
pub mod root;

/// The values that make a container, and the OCI configuration for the hook. Pure.
///
/// Uses [`options`].
pub mod bundle;

/// The tree of served files that a container binds: the host's, or one of its own.
///
/// Uses [`error`].
pub mod tree;

/// The processes of a container, their confinement, its terminal, and the wait for its end.
///
/// Uses [`options`], [`seccomp`], [`error`], [`root`], [`bundle`].
pub mod process;

/// The checks of the machine before anything is created.
///
/// Uses [`options`], [`error`], [`tree`], [`process`].
pub mod check;

/// The steps of a run, in their order.
///
/// Uses [`options`], [`error`], [`cgroups`], [`root`], [`bundle`], [`tree`], [`process`],
/// [`check`].
pub mod launch;

pub use check::available_capabilities;
pub use error::RunError;
pub use launch::{Exit, run};
pub use root::kept::{KeptChanges, kept_changes, remove_all_kept, remove_kept};

use crate::base::units::Bytes;
use std::path::PathBuf;

/// Changes the limit of memory, and that of swap with it, of the running container `name`. Returns the
/// file of the limit.
///
/// # Errors
///
/// No container of that name, and a limit that the kernel refuses: on cgroup v1 one above the present
/// limit of memory and swap together.
pub fn change_memory(name: &str, memory: Bytes) -> Result<PathBuf, RunError> {
    cgroups::create::ContainerCgroups::change_memory(name, memory)
}
