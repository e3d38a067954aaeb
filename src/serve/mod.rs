//! The host daemon: it answers the kernel, and outlives its own death.

/// Names and inode numbers of the files on both connections to the kernel.
pub mod tree;

/// The two connections to the kernel: mount, handshake, and the gate that each request passes.
pub mod wire;

/// The file systems of the two connections: from a request of the kernel to the reply.
///
/// Uses [`tree`], [`wire`].
pub mod fuse;

/// What goes from one daemon to the next, and what they say to each other.
///
/// Uses [`wire`].
pub mod handover;

/// The process that holds a daemon's descriptors, and has another daemon follow one that died.
///
/// Uses [`handover`].
pub mod keeper;

/// The host daemon: builds the rooms, says when it is ready, ends on a signal or for a successor.
///
/// Uses [`wire`], [`fuse`], [`handover`], [`keeper`].
pub mod daemon;
