//! The host daemon: the process that answers the kernel, and the processes that start the next daemon
//! when a daemon dies.

/// Names and inode numbers of the files on both connections to the kernel.
pub mod tree;

/// The two connections to the kernel: mount, handshake, and the gate that each request passes.
pub mod wire;

/// The file systems of the two connections: from a request of the kernel to the reply.
///
/// Uses [`tree`], [`wire`].
pub mod fuse;

/// The hand-over from one daemon to the next: the descriptors, their manifest, and the messages.
///
/// Uses [`wire`].
pub mod handover;

/// The keeper: the process that holds a daemon's descriptors, and starts another daemon when that
/// one dies or hangs.
///
/// Uses [`handover`].
pub mod keeper;

/// The host daemon: starts with a hand-over or anew, serves, and ends on a signal or for a successor.
///
/// Uses [`wire`], [`fuse`], [`handover`], [`keeper`].
pub mod daemon;
