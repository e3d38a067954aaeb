//! The protocol side: names, inodes and attributes, and the requests of both connections.

mod branch;
mod cached;
mod handles;
mod listing;
mod mount;
mod open;
mod server;
mod session;
mod texts;
pub mod tree;
mod trigger;

pub use cached::Cached;
pub use mount::{Connection, MountError, Mounted};
pub use server::Server;
pub use session::Direct;
