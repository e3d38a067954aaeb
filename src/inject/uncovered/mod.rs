//! Uncovered copies of `/proc` and `/sys` in a container that had them uncovered before.
//!
//! A user namespace may mount a procfs or a sysfs of its own only while its mount namespace has one
//! that no mount covers anywhere but on directories that are always empty (mount_too_revealing in
//! fs/namespace.c). A container without masks fulfils this, until a served file lies over
//! `/proc/meminfo`; then rootless Podman, BuildKit and bubblewrap in the container fail with EPERM. So
//! such a container gets an uncovered copy of each. The copies lie in a tmpfs below the served
//! directory of the CPUs: no path reaches them, and a detach removes them with that directory.

mod copies;
mod rule;

pub(super) use copies::UncoveredPlan;
pub use rule::{Whole, lacking};
