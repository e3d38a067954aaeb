//! Code that every other wing uses: quantities, names, system calls, configuration, state.

/// Quantities, each with a type of its own: bytes, time, CPUs, process ids, limits.
pub mod units;

/// The text that the program prints, without characters on which a terminal acts.
pub mod output;

/// Values in the JSON of other programs, of which an odd one costs only itself.
pub mod tolerant;

/// The directories, files and names by which Plimsoll is known on a machine.
pub mod paths;

/// The mounts of a mount namespace.
///
/// Uses [`units`].
pub mod mountinfo;

/// The numbers that this program counts about itself.
pub mod metrics;

/// System calls that the standard library lacks; the only room with unsafe code.
///
/// Uses [`units`].
pub mod sys;

/// The configuration that the host's administrator writes.
///
/// Uses [`paths`], [`sys`].
pub mod config;

/// The command lines with which Plimsoll starts its own program.
///
/// Uses [`units`], [`sys`].
pub mod respawn;

/// The state that a daemon keeps for its successor, in memory that outlives the daemon.
///
/// Uses [`sys`].
pub mod state;
