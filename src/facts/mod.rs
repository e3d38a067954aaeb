//! Facts of the kernel and of the engines, as types: the machine, cgroups, containers.

/// The machine's own files in `/proc` and `/sys`.
pub mod host;

/// The limits and the use of a cgroup and its ancestors.
pub mod cgroup;

/// The containers that the engines of this machine run, with their names, and the table of the
/// engines.
///
/// Uses [`host`], [`cgroup`].
pub mod engines;

/// The container of a caller, its start and its tasks, and the state that is remembered of each
/// container between two reads.
///
/// Uses [`host`], [`cgroup`], [`engines`].
pub mod container;
