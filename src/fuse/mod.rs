//! The protocol side: names, inodes and attributes, and the loop on `/dev/fuse`.

mod mount;
mod open;
mod server;
mod session;
pub mod tree;
mod trigger;

pub use mount::{MountError, Mounted};
pub use server::Server;
