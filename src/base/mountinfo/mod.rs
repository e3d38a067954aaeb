//! The mounts of a mount namespace.

mod parse;
mod read;

pub use parse::{KIND, Mount, SERVED, parse, source, visible};
pub use read::{at, of, own};
