//! Plimsoll shows every container its own machine.
//!
//! ```text
//! serve::fuse::direct    reads a request                  an inode, a caller
//! serve::fuse::cached    the same for what the kernel caches: an inode alone
//! serve::tree            inode -> view::files::File       which file
//! facts::container       caller -> Container              who asks
//! view::answer    facts::cgroup, facts::host         their limits and use, the machine
//!                 view::model                        what they should see
//!                 view::render                        bytes
//! serve::fuse::content_cache keeps them for whoever asks next; serve::fuse::direct replies with a slice
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

/// What every other wing stands on: quantities, system calls, configuration, state.
pub mod base;

/// What the kernel and the engines say, as types: the machine, cgroups, containers.
///
/// Uses [`base`].
pub mod facts;

/// What a container should see, and the bytes that say it.
///
/// Uses [`base`], [`facts`].
pub mod view;

/// Puts our files into containers, and sets engines up to do so.
///
/// Uses [`base`], [`facts`], [`view`].
pub mod inject;

/// The bundled runtime: a container in one command.
///
/// Uses [`base`], [`inject`].
pub mod run;

/// The host daemon: it answers the kernel, and outlives its own death.
///
/// Uses [`base`], [`facts`], [`view`], [`inject`].
pub mod serve;

/// What an administrator asks of a machine on which Plimsoll runs.
///
/// Uses [`base`], [`facts`], [`inject`], [`serve`].
pub mod ops;

/// The command line: each subcommand is one call into a room.
///
/// Uses every wing.
pub mod cli;
