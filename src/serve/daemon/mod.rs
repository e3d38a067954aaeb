//! The host daemon: starts an instance, notifies the supervisor, and ends on a signal or
//! for a successor.

mod containers;
mod instance;
mod live;
mod lock;
mod lock_holder;
mod mountpoint;
mod pending_attach;
mod post_stop;
mod predecessor;
mod right;
mod serve;
mod settings;
mod successor;
mod supervisor;
mod takeover;

pub use lock::{lock_path, pid_path};
pub use post_stop::clean_up;
pub use serve::serve;
pub use settings::{Mode, ServeSettings};
