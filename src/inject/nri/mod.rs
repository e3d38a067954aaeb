//! NRI, the Node Resource Interface of containerd and CRI-O, by which a runtime tells its plugins of each
//! container that starts.
//!
//! ```text
//! conversation   what the runtime said, and the answers        (pure)
//!   messages       the messages of NRI                         (pure)
//!     fields         protobuf                                  (pure)
//!   ttrpc          calls and answers on one connection         (pure)
//!   mux            frames of several connections on one socket (pure)
//! ```

mod conversation;
mod error;
mod fields;
mod messages;
mod mux;
mod ttrpc;

pub use conversation::{Conversation, Heard};
pub use error::WireError;
pub use fields::{FieldError, FieldReader, FieldValue, FieldWriter};
pub use messages::{ListedPart, NriRuntime, Pod, PodContainer};
