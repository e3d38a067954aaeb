//! Notes that `attach` and the hook leave on disk about containers.

mod attached;
mod pending;
mod users_directory;

pub use attached::{AttachedNote, all as attached, prune as prune_attached};
pub use pending::{
    PendingContainer, PendingNote, claim_pending, create_directories, is_any as is_any_pending,
    last_changes,
};
