//! Notes that `attach` and the hook leave on disk about containers.

mod attached;
mod pending;

pub use attached::{AttachedNote, all as attached};
pub use pending::{
    PendingContainer, PendingNote, claim_pending, create_directory, is_any as is_any_pending,
    last_change,
};
