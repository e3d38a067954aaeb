//! What every other wing stands on: quantities, system calls, and what is known before a container is.

/// Quantities that may not be mixed up: bytes, time, CPUs, and limits that may be absent.
pub mod units;

/// The mounts of a mount namespace.
pub mod mountinfo;

/// What the host's administrator has set.
///
/// Uses [`mountinfo`].
pub mod config;

/// What is counted about ourselves.
pub mod metrics;

/// System calls that the standard library lacks; the only room with unsafe code.
///
/// Uses [`units`].
pub mod sys;

/// What a daemon keeps for its successor, in memory that outlives it.
///
/// Uses [`sys`].
pub mod state;
