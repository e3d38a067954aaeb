//! Pure. The names and the inode numbers of the files on both connections.

mod cached_entry;
mod children;
mod entry;
mod inode;
#[cfg(test)]
mod walk;

pub use cached_entry::CachedEntry;
pub use entry::{Directory, Entry, Link, Owner, ROOT};
