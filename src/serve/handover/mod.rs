//! What goes from one daemon to the next: descriptors, each with a name, and what must be known
//! to use them.

mod descriptors;
mod manifest;
mod message;

pub use descriptors::{Descriptors, HANDOVER_TIMEOUT, KEEPER, LOCK, MANIFEST, PREDECESSOR, STATE};
pub use manifest::{Manifest, ManifestError};
pub use message::Message;
