//! Repairs our mounts in the containers: looks through every mount namespace of the machine.
//!
//! This room asks the container's files nothing that a daemon would have to answer, for there may
//! be none. One call alone asks, whether a daemon is dead, and a thread of its own makes that call.

mod dead;
mod each;
mod find;
mod namespaces;
mod remove;
mod replace;

pub use each::RepairedContainer;
pub use find::{DeadMounts, find_dead};
pub use remove::remove;
pub use replace::replace_dead;
