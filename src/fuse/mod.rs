//! The protocol side: names, inodes and attributes, and the loop on `/dev/fuse`.

mod mount;
mod open;
mod session;
pub mod tree;

pub use mount::{MountError, Mounted};
pub use session::Server;
