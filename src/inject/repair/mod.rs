//! Repairs Plimsoll's mounts in the containers: searches every mount namespace of the machine.
//!
//! No call here needs an answer of a container's file system, whose daemon may be dead, except one:
//! the call that finds out whether a daemon is dead, which a thread of its own makes.

mod bound;
mod dead;
mod each;
mod find;
mod namespaces;
mod remove;
mod replace;

pub use bound::{BoundFiles, find_bound};
pub use each::RepairedContainer;
pub use find::{DeadMounts, find_dead};
pub use remove::remove;
pub use replace::replace_dead;
