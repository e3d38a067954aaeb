//! Plimsoll shows every container its own machine.
//!
//! ```text
//! fuse::session   reads a request                  an inode, a caller
//! fuse::cached    the same for what the kernel caches: an inode alone
//! fuse::tree      inode -> files::File             which file
//! container       caller -> Container              who asks
//! answer          cgroup::read, host::read         their limits and use, the machine
//!                 view::*                          what they should see
//!                 render::*                        bytes
//! fuse::texts     keeps them for whoever asks next; fuse::session replies with a slice
//! ```
//!
//! The rooms stand in the order of the data's way from the kernel's files to the reply.
//! A room uses only rooms above it, and only those that its paragraph names.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that fails should fail loudly"
    )
)]

/// Quantities that may not be mixed up: bytes, time, CPUs, and limits that may be absent.
pub mod units;

/// The tables of the files that are served.
///
/// Uses [`units`].
pub mod files;

/// The mounts of a mount namespace.
pub mod mounts;

/// What the host's administrator has set.
///
/// Uses [`mounts`].
pub mod config;

/// The containers that the engines of this machine run, and their names.
pub mod engines;

/// What is counted about ourselves.
pub mod metrics;

/// System calls that the standard library lacks; the only room with unsafe code.
///
/// Uses [`units`].
pub mod sys;

/// Our mounts in the containers: taken out, or healed.
///
/// Uses [`mounts`], [`sys`].
pub mod reach;

/// What a daemon keeps for its successor, in memory that outlives it.
///
/// Uses [`sys`].
pub mod shelf;

/// What the machine says about itself.
///
/// Uses [`units`], [`sys`].
pub mod host;

/// What a cgroup and its ancestors say: limits and use.
///
/// Uses [`units`], [`mounts`], [`sys`].
pub mod cgroup;

/// Who asks, since when and with how many tasks they run, and what is remembered of them
/// between two reads.
///
/// Uses [`units`], [`sys`], [`host`], [`cgroup`].
pub mod container;

/// What a container should see; pure and total.
///
/// Uses [`units`], [`host`], [`cgroup`].
pub mod view;

/// A view as the bytes that the kernel would have written.
///
/// Uses [`units`], [`view`].
pub mod render;

/// The whole flow in one call: caller, limits, view, bytes.
///
/// Uses [`units`], [`files`], [`metrics`], [`sys`], [`shelf`], [`host`], [`cgroup`],
/// [`container`], [`view`], [`render`].
pub mod answer;

/// The protocol side: names, inodes, attributes, and the loop on `/dev/fuse`.
///
/// Uses [`units`], [`files`], [`mounts`], [`metrics`], [`sys`], [`shelf`], [`cgroup`],
/// [`container`], [`answer`].
pub mod fuse;

/// What goes from one daemon to the next, and what they say to each other.
///
/// Uses [`sys`], [`fuse`].
pub mod handover;

/// The process that holds a daemon's descriptors, and has another daemon follow one that died.
///
/// Uses [`sys`], [`handover`].
pub mod keeper;

/// Puts our files into containers.
///
/// Uses [`files`], [`mounts`], [`sys`], [`container`].
pub mod inject;

/// An OCI runtime that is another one with our hook.
///
/// Uses [`units`], [`sys`].
pub mod wrapper;

/// Sets engines up to bring the view into every container, and takes that back.
///
/// Uses [`sys`], [`wrapper`].
pub mod install;

/// The bundled runtime: a container in one command.
///
/// Uses [`units`], [`mounts`], [`sys`], [`inject`].
pub mod runtime;

/// The host daemon: builds the rooms, says when it is ready, ends on a signal or for a successor.
///
/// Uses [`units`], [`mounts`], [`metrics`], [`sys`], [`reach`], [`shelf`], [`answer`], [`fuse`],
/// [`handover`], [`keeper`], [`inject`].
pub mod daemon;

/// What is well on this machine and what is not, each with its mend.
///
/// Uses [`mounts`], [`config`], [`engines`], [`sys`], [`reach`], [`inject`], [`daemon`].
pub mod doctor;

/// The command line: each subcommand is one call into a room.
///
/// Uses every room.
pub mod cli;
