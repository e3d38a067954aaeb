//! The protocol side: names, inodes and attributes, and the loop on `/dev/fuse`.

mod connection;
mod gate;
mod mount;
mod open;
mod server;
mod session;
pub mod tree;
mod trigger;

pub use connection::{Agreed, Connection, ConnectionError};
pub use gate::{GATE, Gate, Progress};
pub use mount::MountError;
use mount::Mounted;
pub use server::Server;
