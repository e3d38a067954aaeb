//! NRI, the Node Resource Interface of containerd and CRI-O: a plugin that gives each container of a pod
//! its files before the first instruction of the container.
//!
//! ```text
//! plugin         waits for the runtime, for work, for signals
//!   lock           one plugin on a machine
//!   link           the connection to the runtime
//!     conversation   what the runtime said, and the answers        (pure)
//!       messages       the messages of NRI                         (pure)
//!         fields         protobuf                                  (pure)
//!       ttrpc          calls and answers on one connection         (pure)
//!       mux            frames of several connections on one socket (pure)
//!   job            the work in containers, in child processes
//!     rule           the containers that get no view               (pure)
//!   log            the results of the work
//! ```

mod backoff;
mod conversation;
mod error;
mod fields;
mod job;
mod link;
mod lock;
mod log;
mod messages;
mod mux;
mod plugin;
mod rule;
mod ttrpc;

pub use conversation::{Conversation, Heard};
pub use error::{NriError, WireError};
pub use fields::{FieldError, FieldReader, FieldValue, FieldWriter};
pub use lock::{PluginState, plugin_state};
pub use messages::{ListedPart, NriRuntime, Pod, PodContainer};
pub use plugin::{PluginSettings, serve};
