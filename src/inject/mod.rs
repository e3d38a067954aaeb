//! The mounts that a container gets, and the ways in which they are brought there.

/// Which served file covers which of the container's. Pure.
pub mod plan;

/// The files of a container over which ours are mounted.
///
/// Uses [`plan`].
pub mod target;

/// The container's own directory in the view.
///
/// Uses [`plan`], [`target`].
pub mod tree;

/// Puts a container's own files over the kernel's: every one that can be put.
///
/// Uses [`plan`], [`target`], [`tree`].
pub mod deliver;

/// Work in a child process, for it may have to wait for ever.
///
/// Uses [`deliver`].
pub mod subprocess;

/// A container's mount namespace, seen from outside, and the way into it.
///
/// Uses [`target`].
pub mod namespace;

/// Notes about containers on disk: of those that have their files by `attach` alone, and of those
/// whose hook found no daemon.
///
/// Uses [`namespace`].
pub mod notes;

/// Brings a container its files from outside, or takes them away again.
///
/// Uses [`plan`], [`target`], [`tree`], [`deliver`], [`subprocess`], [`namespace`],
/// [`notes`].
pub mod attach;

/// The OCI hook: binds a container's own files over the kernel's before it starts.
///
/// Uses [`target`], [`tree`], [`deliver`], [`subprocess`], [`namespace`], [`attach`].
pub mod hook;

/// Our mounts in the containers: taken out, or replaced where they are dead.
///
/// Uses [`target`], [`namespace`].
pub mod repair;

/// An OCI runtime that is another one with our hook.
pub mod oci;

/// Sets engines up to bring the view into every container, and takes that back.
///
/// Uses [`oci`].
pub mod install;

pub use deliver::Delivery;
pub use namespace::is_being_made;
pub use plan::{Below, Bind, binds};
