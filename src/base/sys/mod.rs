//! System calls that the standard library lacks, each behind a safe signature.

mod budget;
mod chain;
mod clock;
mod dir;
mod error;
pub mod fd;
mod handle;
mod kept;
pub mod mount;
pub mod network;
mod page;
mod patience;
mod pidns;
pub mod process;
mod replace;
mod shared;
pub mod terminal;
mod userns;
mod whole;

pub use budget::Budget;
pub use chain::chain;
pub use clock::{clocks, since_boot};
pub use dir::{Dir, text};
pub use error::ReadError;
pub use handle::directory_by_inode;
pub use page::page_size;
pub use patience::within;
pub use pidns::init_of;
pub use replace::replace;
pub use shared::Shared;
pub use userns::owner_of;
pub use whole::Records;
