//! Brings containers that run already their files, or takes the files away again; nothing is needed
//! in the container.

mod batch;
mod beside;
mod container;
mod select;

pub use batch::{AttachResult, Attacher, Detacher, PendingResult};
pub use beside::NamespaceTable;
pub(super) use container::put;
pub use container::{AttachOptions, Execution};
pub use select::{SelectError, Selected, Selection, select};
