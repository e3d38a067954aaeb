//! Pure. Names and inode numbers of the cached connection's tree, which is mounted on `containers`.
//!
//! ```text
//! /KEY/proc/meminfo     a container's own file, which the kernel caches
//! /KEY/proc/vmstat      a link to the direct connection, where what cannot be cached is
//! /KEY/sys/devices/system/cpu
//! /self                 a link to the caller's own directory
//! ```
//!
//! Inode numbers are those of the same entry on the direct connection, and for a link to it that
//! number with a mark: what is a file on one machine and a link on another never is both under one
//! number, for a number that changes its type is dead for ever.

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
// Above every row of the machine's table, below what says of what kind a number is.
const LINK_MARK: u64 = 1 << 21;

/// Something that has a name on the cached connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CachedEntry {
    /// The root.
    Root,
    /// `self`.
    SelfLink,
    /// A directory or a file of a container.
    Served(Entry),
    /// A link to the same entry on the direct connection.
    DirectLink(Entry),
}

impl CachedEntry {
    /// The inode number; never 0.
    pub fn inode(self) -> u64 {
        match self {
            CachedEntry::Root => ROOT_INODE,
            CachedEntry::SelfLink => SELF_INODE,
            CachedEntry::Served(entry) => entry.inode(),
            CachedEntry::DirectLink(entry) => entry.inode() | LINK_MARK,
        }
    }

    /// What has that inode number, if anything can.
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

    /// What is named `name` in this directory; `is_cached` says which files the kernel may cache.
    pub fn child(self, name: &str, is_cached: impl Fn(File) -> bool) -> Option<CachedEntry> {
        match self {
            CachedEntry::Root if name == SELF => Some(CachedEntry::SelfLink),
            CachedEntry::Root => parse_key(name)
                .and_then(Entry::container_root)
                .map(CachedEntry::Served),
            CachedEntry::Served(entry) => Some(CachedEntry::of(entry.child(name)?, is_cached)),
            CachedEntry::SelfLink | CachedEntry::DirectLink(_) => None,
        }
    }

    /// What stands in this directory by name; containers are not listed.
    pub fn children(self, is_cached: impl Fn(File) -> bool) -> Vec<(String, CachedEntry)> {
        match self {
            CachedEntry::Root => vec![(SELF.to_owned(), CachedEntry::SelfLink)],
            CachedEntry::Served(entry) => {
                let children = entry.named_children().into_iter();
                children
                    .map(|(name, child)| (name, CachedEntry::of(child, &is_cached)))
                    .collect()
            }
            CachedEntry::SelfLink | CachedEntry::DirectLink(_) => Vec::new(),
        }
    }

    fn of(entry: Entry, is_cached: impl Fn(File) -> bool) -> CachedEntry {
        match entry {
            // What stands in it differs from one moment to the next.
            Entry::Directory(..) if entry.varying_owner().is_some() => {
                CachedEntry::DirectLink(entry)
            }
            Entry::Directory(..) => CachedEntry::Served(entry),
            Entry::File(_, file) if is_cached(file) => CachedEntry::Served(entry),
            _ => CachedEntry::DirectLink(entry),
        }
    }

    /// What a link to the direct connection holds.
    pub fn target(self) -> Option<String> {
        let CachedEntry::DirectLink(entry) = self else {
            return None;
        };
        let (key, path) = (key(entry)?, entry.path());
        // From its directory up to the container's, the root of this connection, and out of it.
        let up = "../".repeat(path.matches('/').count() + 2);
        Some(format!("{up}{OWN_TREES_NAME}/{key}/{path}"))
    }
}

/// The container whose tree an entry is in.
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
