//! The protocol side: names, inodes and attributes, and the requests of both connections.

mod attributes;
mod branch;
mod cached;
mod connection;
mod gate;
mod handles;
mod inode;
mod listing;
mod mount;
mod open;
mod server;
mod session;
mod texts;
pub mod tree;
mod trigger;
#[cfg(test)]
mod walk;

pub use attributes::attributes;
pub use cached::Cached;
pub use connection::{Agreed, Connection, ConnectionError, give_out_again, is_asked};
pub use gate::{GATE, Gate, Progress};
pub use mount::{MountError, Side};
pub use server::Server;
pub use session::{Direct, slice};
