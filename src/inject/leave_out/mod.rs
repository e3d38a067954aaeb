//! The containers that get no view, and the parts of a container that are the host's own: the one
//! answer for the hook, the wrapper, `attach` and `doctor`.

mod host_parts;
mod image;
mod read;
mod rule;

pub use host_parts::{HostParts, HostTree, Users};
pub use read::{LeaveOutRules, Verdict};
pub use rule::{LeaveOutKey, LeaveOutReason, reason};
