//! The processes of a container: its process 1, and this process while the container runs.

/// A start of this program from a read-only mount, which keeps the program's file from containers.
pub(crate) mod reexec;

/// The limits of the command by `setrlimit(2)`.
pub(crate) mod ulimits;

/// The confinement of a container's processes.
pub(crate) mod confinement;

/// Process 1 of a container.
///
/// Uses [`ulimits`], [`confinement`].
pub(crate) mod init;

/// The user and the capabilities of a container's processes.
pub(crate) mod privileges;

/// The standard streams of a container.
pub(crate) mod streams;

/// The steps of process 1 before the command.
///
/// Uses [`confinement`], [`privileges`], [`streams`].
pub(crate) mod setup;

/// The creation of a container.
///
/// Uses [`init`], [`setup`].
pub(crate) mod create;

/// The terminal of a container.
pub(crate) mod console;

/// The wait for the end of a container.
///
/// Uses [`console`].
pub(crate) mod supervise;
