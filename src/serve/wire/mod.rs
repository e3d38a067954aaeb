//! The two connections to the kernel: the mount, the handshake, and the gate that each request passes.

mod connection;
mod gate;
mod mount;

pub use connection::{Agreed, Connection, ConnectionError, give_out_again, is_asked};
pub use gate::{GATE, Gate, Progress};
pub use mount::{MountError, Side};
