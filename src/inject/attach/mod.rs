//! Brings containers that run already their files, or takes the files away again; nothing is needed
//! in the container.

mod batch;
mod container;
mod select;

pub use batch::{AttachResult, Attacher, PendingResult, detach};
pub(super) use container::put;
pub use container::{AttachOptions, Execution};
pub use select::{SelectError, Selected, Selection, select};
