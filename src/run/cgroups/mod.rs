//! The cgroups of a container.

pub(crate) mod container;
pub(crate) mod hierarchies;
