//! The mounts that a container gets; the files of this room only deliver them.

pub mod hook;
mod plan;

pub use plan::{Below, Bind, binds};
