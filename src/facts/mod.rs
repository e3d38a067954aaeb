//! What the kernel and the engines say, as types: the machine, cgroups, containers.

/// What the machine says about itself.
pub mod host;

/// What a cgroup and its ancestors say: limits and use.
pub mod cgroup;

/// Who asks, since when and with how many tasks they run, and what is remembered of them
/// between two reads.
///
/// Uses [`host`], [`cgroup`].
pub mod container;

/// The containers that the engines of this machine run, with their names, and the table of the
/// engines.
///
/// Uses [`host`], [`cgroup`].
pub mod engines;
