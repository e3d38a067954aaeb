//! Repairs our mounts in the containers: looks through every mount namespace of the machine.
//!
//! This room asks the container's files nothing that a daemon would have to answer, for there may
//! be none.

mod find;
mod namespaces;
mod replace;

pub use find::{DeadMounts, find_dead};
pub use replace::{RepairedContainer, remove, replace_dead};
