//! The host daemon: it answers the kernel, and outlives its own death.

/// The protocol side: names, inodes, attributes, and the loop on `/dev/fuse`.
pub mod fuse;

/// What goes from one daemon to the next, and what they say to each other.
///
/// Uses [`fuse`].
pub mod handover;

/// The process that holds a daemon's descriptors, and has another daemon follow one that died.
///
/// Uses [`handover`].
pub mod keeper;

/// The host daemon: builds the rooms, says when it is ready, ends on a signal or for a successor.
///
/// Uses [`fuse`], [`handover`], [`keeper`].
pub mod daemon;
