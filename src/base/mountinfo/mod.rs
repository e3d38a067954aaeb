//! The mounts of a mount namespace.

mod parse;
mod read;
mod visible;

pub use parse::{Mount, parse, parse_kind, parse_peers};
pub use read::{at, of, of_kind_within, own, own_of_kind, visible_at};
pub use visible::visible;
