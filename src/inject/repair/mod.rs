//! Our mounts in the containers: every mount namespace of the machine is looked through.
//!
//! Nothing here asks a container's files anything that a daemon would have to answer, for there
//! may be none.

mod look;
mod namespaces;
mod repair;

pub use look::{Dead, dead};
pub use repair::{Repaired, heal, take_out};
