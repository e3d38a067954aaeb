//! The hand-over from one daemon to the next: the descriptors that outlive a daemon, the manifest
//! that describes their use, and the messages.
//!
//! # The sequence of `plimsoll daemon --replace`
//!
//! Four processes, three sockets. Each word is the message on the wire (see `Message`); `hold`
//! carries the named `Descriptors`.
//!
//! ```text
//! keeper P            predecessor                 successor            keeper S
//!    |                     |                          |                    |
//!    |<------ alive -------|                          |<------ fork -------|
//!    |                     |<-------- connect --------|                    |
//!    |                     |- hold lock state direct -|                    |
//!    |                     |  cached manifest keeper >|  reads the manifest, makes
//!    |                     |                          |  the handshakes of fuser
//!    |                     |<-------- ready ----------|                    |
//!    |      stops each worker after its request       |                    |
//!    |                     |-------- drained -------->|                    |
//!    |                     |                          |- hold lock state direct cached
//!    |                     |                          |  manifest predecessor keeper ->|
//!    |                     |                          |----- serving ----->|
//!    |                     |<------- serving ---------|                    |
//!    |<---------------- leaving ----------------------|                    |
//!    |                     |                          |- hold lock state direct cached
//!    |                     |                          |  manifest -------->|
//!    |                     |                          |  answers requests  |
//!    |<------ leaving -----|                          |----- serving ----->|
//!  exits                 exits                        |------ alive ------>|
//! ```
//!
//! - The descriptor `keeper` is the predecessor's end of its channel to keeper P: through it the
//!   successor sends `leaving` to keeper P. The descriptor `predecessor` is the successor's end of
//!   its connection: a daemon that keeper S starts repeats `serving` and `leaving` through the two.
//! - A process that only asks (`--dry-run`) closes the connection after `hold`.
//! - A predecessor under systemd answers `ready` with `managed`, and serves on.
//! - A predecessor that gets no `serving` within `HANDOVER_TIMEOUT` stops reading, sends `staying`
//!   and serves on.
//!
//! ## A daemon is killed during a hand-over
//!
//! ```text
//! keeper P            predecessor                 successor            keeper S
//!    |                     |-------- drained -------->|                    |
//!    |                   killed                       |                    |
//!    | stops reading       .                          |                    |
//!    |------ staying ----->.  (stays in the socket)   |                    |
//!    |------- fork ------->|                          |----- serving ----->|
//!    |                     |  (EPIPE, no staying) <---|  serving           |
//!    |  (EPIPE, staying) <----------------------------|  leaving           |
//!    |                     |                          |----- leaving ----->|
//!    |                     | serves                 exits                exits
//! ```
//!
//! - The predecessor dies before `drained`: the successor connects again, until a daemon that keeper
//!   P has started answers.
//! - The predecessor dies after keeper P has got `leaving`: keeper P exits, and the successor serves.
//! - The successor dies before it has sent `serving` to keeper S: keeper S exits, and the predecessor
//!   serves on, as after the timeout.
//! - The successor dies later: keeper S starts another daemon with the descriptors, which repeats
//!   `serving` to the predecessor and `leaving` to keeper P.
//!
//! ## A keeper dies
//!
//! ```text
//! keeper P            predecessor                 new keeper
//!  killed                  |                          |
//!    .  (socket closed) -->|                          |
//!                          |---- daemon --adopt ----->|
//!                          |- hold lock state direct -|
//!                          |  cached manifest ------->|
//!                          |-------- serving -------->|  watches over the predecessor
//! ```
//!
//! - Keeper P dies in the midst of a hand-over: `leaving` fails with EPIPE and no `staying` is in the
//!   socket, so there is no process to start another daemon, and the successor serves.
//! - Keeper S dies: the successor starts another keeper in the same way.

mod channel;
mod descriptors;
mod manifest;
mod message;
mod name;

pub use channel::{Channel, HANDOVER_TIMEOUT, Received};
pub use descriptors::{Descriptors, MAX_DESCRIPTORS};
pub use manifest::{Manifest, ManifestError};
pub use message::Message;
pub use name::{MAX_NAME_BYTES, Name};
