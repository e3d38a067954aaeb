//! The bundled runtime: a container in one command.

mod bundle;
mod cgroups;
mod check;
mod console;
mod error;
mod etc;
mod hierarchies;
mod init;
mod inside;
pub mod launch;
mod mounts;
mod places;
pub mod request;
mod rootfs;
mod scaffold;
mod shield;
mod supervise;
mod traces;
mod user;
mod view;
pub mod words;

pub use error::RunError;
pub use launch::{Outcome, run};
pub use request::Request;
