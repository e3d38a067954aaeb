//! The bundled runtime: a container in one command.

/// The options of `plimsoll run`, as a request for a container.
pub mod options;

/// The error of a container that cannot be run.
///
/// Uses [`options`].
mod error;

/// The cgroups of a container, with their limits.
///
/// Uses [`options`], [`error`].
mod cgroups;

/// The root of a container, and the directories that a container has on disk.
///
/// Uses [`options`], [`error`], [`cgroups`].
mod root;

/// The OCI configuration of a container. Pure.
///
/// Uses [`options`].
mod bundle;

/// The tree of served files that a container binds: the host's, or one of its own.
///
/// Uses [`error`].
mod tree;

/// The processes of a container, its terminal, and the wait for its end.
///
/// Uses [`error`].
mod process;

/// The checks of the machine before anything is created.
///
/// Uses [`options`], [`error`], [`tree`], [`process`].
mod check;

/// The steps of a run, in their order.
///
/// Uses [`options`], [`error`], [`cgroups`], [`root`], [`bundle`], [`tree`], [`process`],
/// [`check`].
mod launch;

pub use error::RunError;
pub use launch::{Exit, run};
