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
//!    |      stops each worker after its request,      |                    |
//!    |             offers the right to serve          |                    |
//!    |                     |-------- drained -------->|                    |
//!    |                     |                          |- hold lock state direct cached
//!    |                     |                          |  manifest predecessor keeper ->|
//!    |                     |                          |----- serving ----->|
//!    |                     |                  claims the right             |
//!    |                     |<------- serving ---------|                    |
//!    |<---------------- leaving ----------------------|                    |
//!    |                     |                          |- hold lock state direct cached
//!    |                     |                          |  manifest -------->|
//!    |                     |                          |  answers requests  |
//!    |<------ leaving -----|                          |----- serving ----->|
//!  exits                 exits                        |------ alive ------>|
//! ```
//!
//! - One word in the state, which all these processes share, is the right to serve
//!   ([`ServingRight`](crate::base::state::ServingRight)): it names a term and a lineage, and tells
//!   whether its daemon offers the right. A daemon takes requests only in a term that it has claimed
//!   by an atomic change of the word. So a message that is late, or is lost in a full socket, never
//!   lets two daemons serve. The manifest names the term of the daemon that wrote the manifest.
//! - The descriptor `keeper` is the predecessor's end of its channel to keeper P: through it the
//!   successor sends `leaving` to keeper P. The descriptor `predecessor` is the successor's end of
//!   its connection: a daemon that keeper S starts claims the right and repeats `serving` and `leaving`
//!   through the two.
//! - A process that only asks (`--dry-run`) closes the connection after `hold`.
//! - A predecessor under systemd answers `ready` with `managed`, and serves on.
//! - A predecessor that gets no `serving` within `HANDOVER_TIMEOUT` stops reading and withdraws its
//!   offer; it sends `staying` and serves on, unless a successor has claimed the right.
//! - A predecessor of a version without terms decides by messages: the successor obeys `staying`.
//!
//! `integration/serve/handover` examines every order of these acts with two faults.
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
//!    |                     | claims the right         |                    |
//!    |                     |                          | cannot claim       |
//!    |                     |                          |----- leaving ----->|
//!    |                     | serves                 exits                exits
//! ```
//!
//! - The successor claims the right first: the daemon that keeper P starts cannot claim it, sends
//!   `leaving` and exits.
//! - The predecessor dies before `drained`: the successor connects again, until a daemon that keeper
//!   P has started answers. When keeper P is dead too, the successor claims the term of the dead
//!   predecessor.
//! - The predecessor dies after keeper P has got `leaving`: keeper P exits, and the successor serves.
//! - The successor dies before it has sent `serving` to keeper S: keeper S exits, and the predecessor
//!   serves on, as after the timeout.
//! - The successor dies later: keeper S starts another daemon with the descriptors, which claims the
//!   right if the successor had it, or if the predecessor still offers it.
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
//! - Keeper P dies in the midst of a hand-over: the predecessor starts another keeper, which starts a
//!   daemon when the predecessor dies; that daemon cannot claim a right that the successor has.
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
