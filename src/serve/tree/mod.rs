//! Names and inode numbers of the files on both connections to the kernel.
//!
//! ```text
//! entry         Entry: a directory, file or link of the direct connection
//! inode         Entry <-> inode number, stable over versions and restarts
//! children      Entry + name -> Entry, and the names in a directory
//! cached_entry  CachedEntry: the same three for the cached connection
//! ```

mod cached_entry;
mod children;
mod entry;
mod inode;
#[cfg(test)]
mod walk;

pub use cached_entry::CachedEntry;
pub use entry::{Directory, Entry, Link, Owner, ROOT};
