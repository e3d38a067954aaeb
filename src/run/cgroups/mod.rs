//! The cgroups of a container: found hierarchies, directories with limits, and the removal of both.

/// The cgroup hierarchies of this host.
pub(crate) mod hierarchies;

/// The removal of a container's cgroups.
///
/// Uses [`hierarchies`].
pub(crate) mod remove;

/// The cgroups of one container, with their limits.
///
/// Uses [`hierarchies`], [`remove`].
pub(crate) mod create;
