//! The mounts of a mount namespace.

mod parse;
mod read;

pub use parse::{Mount, parse, visible};
pub use read::{at, of, own};
