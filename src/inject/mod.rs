//! The mounts of served files in containers, and the ways to bring them there and take them away.

/// The mounts that every container gets: served files and the files that they cover. Pure.
pub mod plan;

/// The files of a container over which ours are mounted, and the mounting itself. A threat model in
/// code: the container may hold anything.
///
/// Uses [`plan`].
pub mod target;

/// The directory of one container in the view.
///
/// Uses [`plan`], [`target`].
pub mod tree;

/// Puts a container's own files over the kernel's: every file that can be put.
///
/// Uses [`plan`], [`target`], [`tree`].
pub mod deliver;

/// Work in a child process, because it may wait for ever.
///
/// Uses [`deliver`].
pub mod subprocess;

/// The mount namespace of a container, seen from outside, and the way into it.
///
/// Uses [`target`].
pub mod namespace;

/// Notes on disk: containers that have their files by `attach` alone, and containers whose hooks found
/// no daemon.
///
/// Uses [`namespace`].
pub mod notes;

/// Brings containers that run already their files, or takes the files away again.
///
/// Uses [`plan`], [`target`], [`tree`], [`deliver`], [`subprocess`], [`namespace`], [`notes`].
pub mod attach;

/// The OCI hook: binds a container's own files over the kernel's before it starts.
///
/// Uses [`target`], [`tree`], [`deliver`], [`subprocess`], [`namespace`], [`attach`].
pub mod hook;

/// Our mounts in all containers: taken away, or replaced where their daemon is dead.
///
/// Uses [`target`], [`namespace`].
pub mod repair;

/// An OCI runtime that adds our hook and becomes another runtime, and the one description of the hook.
pub mod oci;

/// Sets engines up to bring the view into every container, and takes that back.
///
/// Uses [`oci`].
pub mod install;

pub use deliver::Delivery;
pub use plan::{Below, Bind, binds};
