//! The two connections to the kernel: mount, handshake, and the gate that every request passes.
//!
//! ```text
//! mount       Side: direct or cached; mounts one and unmounts it
//! connection  Connection: a mount and its device, begun here or taken over
//! gate        GATE: stops the workers between two requests, tells whether one is stuck
//! ```

mod connection;
mod gate;
mod mount;

pub use connection::{
    Connection, ConnectionError, Handshake, has_waiting_request, resend_requests,
};
pub use gate::{GATE, Gate, WorkerProgress};
pub use mount::{MountError, Side};
