//! The mounts of served files in containers: where they are, who makes them, who removes them.

/// The mounts that every container gets: served files and the files that they cover. Pure.
pub mod plan;

/// The containers that get no view, by their own word or by the configuration, and the parts of a
/// container that are the host's own.
pub mod leave_out;

/// Detached copies of files and directories, and the mounts within such a copy.
pub mod detached;

/// The host's own files, which hide a mount of Plimsoll that the kernel does not let go.
///
/// Uses [`plan`], [`detached`].
pub mod hosts_files;

/// The files of a container over which Plimsoll mounts its own, and the mounting itself. The
/// container's root is not trusted: see the checks in the file.
///
/// Uses [`plan`], [`leave_out`], [`hosts_files`].
pub mod target;

/// The directory of one container in the view.
///
/// Uses [`plan`], [`detached`], [`target`].
pub mod tree;

/// Uncovered copies of `/proc` and `/sys`, with which user namespaces in a container can mount their
/// own.
///
/// Uses [`plan`], [`target`].
pub mod uncovered;

/// Mounts the container's files over the kernel's: every file that can be mounted.
///
/// Uses [`plan`], [`target`], [`tree`], [`uncovered`].
pub mod deliver;

/// Work in a child process, because it may wait for ever.
///
/// Uses [`deliver`].
pub mod subprocess;

/// The mounts of this process, read once for many containers.
pub mod own_mounts;

/// The mount namespace of a container, seen from outside, and the way into it.
///
/// Uses [`leave_out`], [`target`], [`own_mounts`].
pub mod namespace;

/// Notes on disk: containers that got their files only by `attach`, and containers whose hooks
/// found no daemon.
///
/// Uses [`namespace`].
pub mod notes;

/// Mounts the served files in containers that run already, or removes the mounts.
///
/// Uses [`plan`], [`leave_out`], [`hosts_files`], [`target`], [`tree`], [`deliver`], [`subprocess`], [`own_mounts`],
/// [`namespace`], [`notes`].
pub mod attach;

/// The OCI hook: binds a container's own files over the kernel's before it starts.
///
/// Uses [`leave_out`], [`target`], [`tree`], [`uncovered`], [`deliver`], [`subprocess`],
/// [`namespace`], [`attach`].
pub mod hook;

/// The plugin that containerd and CRI-O tell of each container that starts, by NRI.
///
/// Uses [`deliver`], [`subprocess`], [`namespace`], [`notes`], [`attach`].
pub mod nri;

/// Removes Plimsoll's mounts from all containers, or replaces them where their daemon is dead.
///
/// Uses [`detached`], [`hosts_files`], [`target`], [`subprocess`], [`own_mounts`], [`namespace`].
pub mod repair;

/// A wrapper of an OCI runtime, which adds our hook and executes the real runtime, and the one
/// description of the hook.
///
/// Uses [`leave_out`].
pub mod oci;

/// Sets engines up so that every container gets the view, and undoes that.
///
/// Uses [`plan`], [`oci`].
pub mod install;

pub use deliver::Delivery;
pub use plan::{Below, Bind, binds};
