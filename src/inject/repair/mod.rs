//! Our mounts in the containers: every mount namespace of the machine is looked through.
//!
//! Nothing here asks a container's files anything that a daemon would have to answer, for there
//! may be none.

mod heal;
mod look;
mod namespaces;

pub use heal::{Repaired, heal, take_out};
pub use look::{Dead, dead};
