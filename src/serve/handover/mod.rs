//! What goes from one daemon to the next: descriptors, each with a name, and what must be known
//! to use them.

mod descriptors;
mod message;
mod manifest;

pub use descriptors::{Held, KEEPER, LOCK, PATIENCE, PREDECESSOR, ROSTER, STATE};
pub use message::Message;
pub use manifest::{Roster, RosterError};
