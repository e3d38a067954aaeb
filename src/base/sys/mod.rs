//! System calls that the standard library lacks, each behind a safe signature.

mod budget;
mod chain;
mod clock;
mod dir;
mod error;
pub mod fd;
mod handle;
mod held_files;
pub mod mount;
pub mod network;
pub mod packet;
mod page;
pub mod pidfd;
mod pidns;
pub mod process;
mod read_all;
mod shared;
pub mod terminal;
mod timeout;
mod userns;
mod write_atomic;

pub use budget::Budget;
pub use chain::chain;
pub use clock::{clocks, since_boot};
pub use dir::{Dir, text};
pub use error::ReadError;
use error::errno;
pub use handle::directory_by_inode;
pub use page::page_size;
pub use pidns::init_of;
pub use read_all::Records;
pub use shared::Shared;
pub use timeout::with_timeout;
pub use userns::owner_of;
pub use write_atomic::write_atomic;
