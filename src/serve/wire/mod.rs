//! The two connections to the kernel: the mount, the handshake, and the gate that each request passes.

mod connection;
mod gate;
mod mount;

pub use connection::{
    Connection, ConnectionError, Handshake, has_waiting_request, resend_requests,
};
pub use gate::{GATE, Gate, WorkerProgress};
pub use mount::{MountError, Side};
