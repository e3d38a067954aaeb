//! The numbers that a container sees.

mod callers;
mod captured;
pub(crate) mod grammar;
mod kernel_bytes;
mod many_cgroups;
mod properties;
