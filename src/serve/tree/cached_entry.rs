//! Pure. Entries of the cached connection's tree, which is mounted on `containers`: names, inode
//! numbers, children.
//!
//! ```text
//! /KEY/proc/meminfo            a file of the container KEY, which the kernel caches
//! /KEY/proc/vmstat             a link to the direct connection: the kernel may not cache this file
//! /KEY/sys/devices/system/cpu  a link likewise: its children may change
//! /self                        a link to the caller's own directory
//! ```
//!
//! A directory or file has the inode number of its entry on the direct connection. A link to an
//! entry there has that entry's number with one bit set. So an entry that is a file under one
//! kernel and a link under another has two numbers: the kernel drops an inode whose type
//! changes.

use super::{
    children::parse_key,
    entry::{Entry, OWN_TREES_NAME, Owner},
};
use crate::{
    base::{paths::SELF, units::Key},
    view::files::File,
};

const ROOT_INODE: u64 = 1;
const SELF_INODE: u64 = 33;
// The bit above every row of kind 0, and below the bits of the kind (inode.rs).
const LINK_MARK: u64 = 1 << 21;

/// A directory, file or link that has a name on the cached connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CachedEntry {
    /// The root, whose children are the containers' directories by key.
    Root,
    /// `self`, a link to the directory of the caller's container.
    SelfLink,
    /// A directory or a file of a container, served on this connection.
    Served(Entry),
    /// A link to the same entry on the direct connection.
    DirectLink(Entry),
}

impl CachedEntry {
    /// Returns the inode number, which is never 0.
    #[must_use]
    pub fn inode(self) -> u64 {
        match self {
            CachedEntry::Root => ROOT_INODE,
            CachedEntry::SelfLink => SELF_INODE,
            CachedEntry::Served(entry) => entry.inode(),
            CachedEntry::DirectLink(entry) => entry.inode() | LINK_MARK,
        }
    }

    /// Returns the entry with that inode number, or `None` if no entry can have it.
    #[must_use]
    pub fn from_inode(inode: u64) -> Option<CachedEntry> {
        match inode {
            ROOT_INODE => return Some(CachedEntry::Root),
            SELF_INODE => return Some(CachedEntry::SelfLink),
            _ => {}
        }
        let entry = Entry::from_inode(inode & !LINK_MARK)?;
        key(entry)?;
        Some(match inode & LINK_MARK {
            0 => CachedEntry::Served(entry),
            _ => CachedEntry::DirectLink(entry),
        })
    }

    /// Returns the child of this directory with that name; `is_cached` returns whether the kernel may
    /// cache a file.
    ///
    /// The caller of this function must check that a container with that key is alive.
    #[must_use]
    pub fn child(self, name: &str, is_cached: impl Fn(File) -> bool) -> Option<CachedEntry> {
        match self {
            CachedEntry::Root if name == SELF => Some(CachedEntry::SelfLink),
            CachedEntry::Root => parse_key(name)
                .and_then(Entry::container_root)
                .map(CachedEntry::Served),
            CachedEntry::Served(entry) => {
                Some(CachedEntry::from_entry(entry.child(name)?, is_cached))
            }
            CachedEntry::SelfLink | CachedEntry::DirectLink(_) => None,
        }
    }

    /// Returns the children of this directory with their names, but not the containers'
    /// directories.
    #[must_use]
    pub fn children(self, is_cached: impl Fn(File) -> bool) -> Vec<(String, CachedEntry)> {
        match self {
            CachedEntry::Root => vec![(SELF.to_owned(), CachedEntry::SelfLink)],
            CachedEntry::Served(entry) => {
                let children = entry.named_children().into_iter();
                children
                    .map(|(name, child)| (name, CachedEntry::from_entry(child, &is_cached)))
                    .collect()
            }
            CachedEntry::SelfLink | CachedEntry::DirectLink(_) => Vec::new(),
        }
    }

    fn from_entry(entry: Entry, is_cached: impl Fn(File) -> bool) -> CachedEntry {
        match entry {
            // Its children may differ from one moment to the next.
            Entry::Directory(..) if entry.varying_owner().is_some() => {
                CachedEntry::DirectLink(entry)
            }
            Entry::Directory(..) => CachedEntry::Served(entry),
            Entry::File(_, file) if is_cached(file) => CachedEntry::Served(entry),
            _ => CachedEntry::DirectLink(entry),
        }
    }

    /// Returns the target of a link to the direct connection, as a relative path; `None` for any
    /// other entry.
    #[must_use]
    pub fn target(self) -> Option<String> {
        let CachedEntry::DirectLink(entry) = self else {
            return None;
        };
        let (key, path) = (key(entry)?, entry.path());
        // The path leads up from the link's directory to the container's directory, to the root of
        // this connection, and to the root of the direct connection.
        let up = "../".repeat(path.matches('/').count() + 2);
        Some(format!("{up}{OWN_TREES_NAME}/{key}/{path}"))
    }
}

/// Returns the key of the container whose tree the entry is in; `None` for any entry that the
/// cached connection does not have.
fn key(entry: Entry) -> Option<Key> {
    match entry {
        Entry::Directory(Owner::Container(key), _)
        | Entry::File(Owner::Container(key), _)
        | Entry::System(Owner::Container(key), _) => Some(key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_cached(file: File) -> bool {
        file == File::Meminfo
    }

    fn at(path: &str) -> Option<CachedEntry> {
        path.split('/').try_fold(CachedEntry::Root, |entry, name| {
            entry.child(name, is_cached)
        })
    }

    fn walk(from: CachedEntry, found: &mut Vec<CachedEntry>) {
        found.push(from);
        for (_, child) in from.children(is_cached) {
            walk(child, found);
        }
    }

    #[test]
    fn what_can_be_cached_is_a_file_and_all_else_a_link_to_the_direct_connection() {
        assert!(matches!(at("7/proc/meminfo"), Some(CachedEntry::Served(_))));
        let target = |path: &str| at(path).unwrap().target();
        assert_eq!(
            target("7/proc/stat").unwrap(),
            "../../../.direct/7/proc/stat"
        );
        assert_eq!(
            target("7/sys/devices/system/cpu").unwrap(),
            "../../../../../.direct/7/sys/devices/system/cpu"
        );
        assert_eq!(
            target("7/sys/devices/system/node").unwrap(),
            "../../../../../.direct/7/sys/devices/system/node"
        );
        assert_eq!(
            target("7/proc/pressure").unwrap(),
            "../../../.direct/7/proc/pressure"
        );
        assert_eq!(target("7/proc/meminfo"), None);
    }

    #[test]
    fn an_inode_number_leads_back_to_its_entry() {
        let mut entries = vec![at("self").unwrap()];
        walk(at("1099511627775").unwrap(), &mut entries);
        for entry in &entries {
            assert_eq!(CachedEntry::from_inode(entry.inode()), Some(*entry));
        }
        assert_eq!(CachedEntry::from_inode(1), Some(CachedEntry::Root));
        for inode in [0, 2, 64] {
            assert_eq!(CachedEntry::from_inode(inode), None, "{inode}");
        }
    }
}
