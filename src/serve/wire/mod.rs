//! The two connections to the kernel: mount, handshake, and the gate that every request passes.
//!
//! ```text
//! side        Side: direct or cached
//! label       the SELinux label of the kernel's own files
//! mount       mounts one side and unmounts it
//! handshake   Handshake: the protocol that the kernel and a daemon agreed on
//! connection  Connection: a mount and its device, begun here or taken over
//! gate        GATE: stops the workers between two requests, detects a stuck worker
//! ```

mod connection;
mod gate;
mod handshake;
mod label;
mod mount;
mod side;

pub use connection::{
    Connection, ConnectionError, RESENT, has_waiting_request, refuse_request, resend_requests,
};
pub use gate::{GATE, Gate, Work, WorkerProgress};
pub use handshake::Handshake;
pub use mount::{MountError, allow_background};
pub use side::Side;
