//! The two file systems, and what both need: contents, open files, triggers, errors.

mod cached;
mod content_cache;
mod direct;
mod direct_files;
mod direct_names;
mod error;
mod open_files;
mod reply;
mod request;
mod server;
mod triggers;

pub use cached::Cached;
pub use direct::Direct;
pub use reply::{attributes, slice};
pub use server::Server;
