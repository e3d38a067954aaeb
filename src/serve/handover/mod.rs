//! What goes from one daemon to the next: descriptors, each with a name, and what must be known
//! to use them.

mod held;
mod message;
mod roster;

pub use held::{Held, KEEPER, LOCK, PATIENCE, PREDECESSOR, ROSTER, STATE};
pub use message::Message;
pub use roster::{Roster, RosterError};
