//! Repairs Plimsoll's mounts in the containers: searches every mount namespace of the machine.
//!
//! A file system of a container may never answer. So a process of its own works in each mount
//! namespace, with a timeout, and the process that starts these has one thread and is no daemon.

mod bound;
mod dead;
mod each;
mod find;
mod group;
mod namespaces;
mod outermost;
mod remove;
mod replace;
mod report;
mod round;
mod task;

pub use bound::{BoundFiles, find_bound};
pub use report::{DeadMounts, RepairResult, RepairedContainer, Report};
pub use task::{carry_out, find_dead_mounts, remove, replace_dead};
