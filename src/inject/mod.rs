//! The mounts that a container gets, and the ways in which they are brought there.
//!
//! ```text
//! plan      which served file covers which of the container's      pure
//! own       the container's own directory in the view
//! target    what lies in the container where a file is to be put
//! deliver   the one after the other: every file that can be put
//! bounded   all of it in a child, for it may have to wait for ever
//! inside    a container seen from outside, and the way in
//! attach    into a container from outside, and out of it
//! hook      before a container starts: an OCI state on standard input
//! attached  what `attach` leaves: who has its files by it alone
//! waiting   what a hook leaves that found no daemon
//! ```

pub mod attach;
pub mod attached;
mod bounded;
mod deliver;
pub mod hook;
mod inside;
mod own;
mod plan;
mod target;
pub mod waiting;

pub use deliver::Delivered;
pub use inside::is_being_made;
pub use plan::{Below, Bind, binds};
