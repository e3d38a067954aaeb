//! The mounts that a container gets, and the ways in which they are brought there.

/// Which served file covers which of the container's. Pure.
mod plan;

/// The container's own directory in the view.
mod own;

/// What lies in the container where a file is to be put.
mod target;

/// Puts a container's own files over the kernel's: every one that can be put.
///
/// Uses [`plan`], [`own`], [`target`].
mod deliver;

/// Work in a child process, for it may have to wait for ever.
mod bounded;

/// A container as it is seen from outside, and the way into its mount namespace.
mod inside;

/// Brings a container its files from outside, or takes them away again.
pub mod attach;

/// The OCI hook: binds a container's own files over the kernel's before it starts.
pub mod hook;

/// What `attach` leaves: notes of the containers that have their files by it alone.
pub mod attached;

/// What a hook leaves that found no daemon: notes of the containers that wait for their files.
pub mod waiting;

/// Our mounts in the containers: taken out, or healed.
pub mod repair;

/// An OCI runtime that is another one with our hook.
pub mod oci;

/// Sets engines up to bring the view into every container, and takes that back.
///
/// Uses [`oci`].
pub mod install;

pub use deliver::Delivered;
pub use inside::is_being_made;
pub use plan::{Below, Bind, binds};
