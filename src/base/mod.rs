//! What every other wing stands on: quantities, system calls, and what is known before a container is.

/// Quantities that may not be mixed up: bytes, time, CPUs, and limits that may be absent.
pub mod units;

/// The directories, files and names by which Plimsoll is known on a machine.
pub mod paths;

/// The mounts of a mount namespace.
///
/// Uses [`units`].
pub mod mountinfo;

/// What the host's administrator has set.
///
/// Uses [`paths`].
pub mod config;

/// What is counted about ourselves.
pub mod metrics;

/// System calls that the standard library lacks; the only room with unsafe code.
///
/// Uses [`units`].
pub mod sys;

/// The command lines with which Plimsoll starts its own program.
///
/// Uses [`units`], [`sys`].
pub mod respawn;

/// What a daemon keeps for its successor, in memory that outlives it.
///
/// Uses [`sys`].
pub mod state;
