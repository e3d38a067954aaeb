//! The mounts of a mount namespace.

mod parse;
mod read;
mod visible;

pub use parse::{Mount, parse};
pub use read::{at, of, own, visible_at};
pub use visible::visible;
