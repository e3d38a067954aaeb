//! The bundled runtime: a container in one command.

/// The options of `plimsoll run` as a request.
pub mod options;

/// The error of a container that cannot be run.
///
/// Uses [`options`].
mod error;

/// The cgroups of a container.
///
/// Uses [`options`], [`error`].
mod cgroups;

/// The root of a container.
///
/// Uses [`options`], [`error`], [`cgroups`].
mod root;

/// The OCI configuration of a container.
///
/// Uses [`options`].
mod bundle;

/// The tree of served files that a container binds.
///
/// Uses [`error`].
mod tree;

/// The processes of a container.
///
/// Uses [`error`].
mod process;

/// The checks of the machine before a start.
///
/// Uses [`options`], [`error`], [`tree`], [`process`].
mod check;

/// The steps of a run.
///
/// Uses [`options`], [`error`], [`cgroups`], [`root`], [`bundle`], [`tree`], [`process`],
/// [`check`].
mod launch;

pub use error::RunError;
pub use launch::{Outcome, run};
pub use options::request::Request;
