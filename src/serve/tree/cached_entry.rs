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
    children::key_named,
    entry::{Entry, OWN_TREES_NAME, Owner},
};
use crate::{
    base::{paths::SELF, units::Key},
    view::files::File,
};

const ROOT_INODE: u64 = 1;
const OWN: u64 = 33;
// Above every row of the machine's table, below what says of what kind a number is.
const LINKED: u64 = 1 << 21;

/// Something that has a name on the cached connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Branch {
    /// The root.
    Root,
    /// `self`.
    Own,
    /// A directory or a file of a container.
    Inside(Entry),
    /// A link to the same entry on the direct connection.
    Link(Entry),
}

impl Branch {
    /// The inode number; never 0.
    pub fn inode(self) -> u64 {
        match self {
            Branch::Root => ROOT_INODE,
            Branch::Own => OWN,
            Branch::Inside(entry) => entry.inode(),
            Branch::Link(entry) => entry.inode() | LINKED,
        }
    }

    /// What has that inode number, if anything can.
    pub fn of_inode(inode: u64) -> Option<Branch> {
        match inode {
            ROOT_INODE => return Some(Branch::Root),
            OWN => return Some(Branch::Own),
            _ => {}
        }
        let entry = Entry::of_inode(inode & !LINKED)?;
        key(entry)?;
        Some(match inode & LINKED {
            0 => Branch::Inside(entry),
            _ => Branch::Link(entry),
        })
    }

    /// What is named `name` in this directory; `is_cached` says which files the kernel may cache.
    pub fn child(self, name: &str, is_cached: impl Fn(File) -> bool) -> Option<Branch> {
        match self {
            Branch::Root if name == SELF => Some(Branch::Own),
            Branch::Root => key_named(name)
                .and_then(Entry::container)
                .map(Branch::Inside),
            Branch::Inside(entry) => Some(Branch::of(entry.child(name)?, is_cached)),
            Branch::Own | Branch::Link(_) => None,
        }
    }

    /// What stands in this directory by name; containers are not listed.
    pub fn children(self, is_cached: impl Fn(File) -> bool) -> Vec<(String, Branch)> {
        match self {
            Branch::Root => vec![(SELF.to_owned(), Branch::Own)],
            Branch::Inside(entry) => {
                let children = entry.children().into_iter();
                children
                    .map(|(name, child)| (name, Branch::of(child, &is_cached)))
                    .collect()
            }
            Branch::Own | Branch::Link(_) => Vec::new(),
        }
    }

    fn of(entry: Entry, is_cached: impl Fn(File) -> bool) -> Branch {
        match entry {
            // What stands in it differs from one moment to the next.
            Entry::Directory(..) if entry.differs().is_some() => Branch::Link(entry),
            Entry::Directory(..) => Branch::Inside(entry),
            Entry::File(_, file) if is_cached(file) => Branch::Inside(entry),
            _ => Branch::Link(entry),
        }
    }

    /// What a link to the direct connection holds.
    pub fn target(self) -> Option<String> {
        let Branch::Link(entry) = self else {
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

    fn at(path: &str) -> Option<Branch> {
        path.split('/')
            .try_fold(Branch::Root, |branch, name| branch.child(name, is_cached))
    }

    fn walk(from: Branch, found: &mut Vec<Branch>) {
        found.push(from);
        for (_, child) in from.children(is_cached) {
            walk(child, found);
        }
    }

    #[test]
    fn what_can_be_cached_is_a_file_and_all_else_a_link_to_the_direct_connection() {
        assert!(matches!(at("7/proc/meminfo"), Some(Branch::Inside(_))));
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
        let mut branches = vec![at("self").unwrap()];
        walk(at("1099511627775").unwrap(), &mut branches);
        for branch in &branches {
            assert_eq!(Branch::of_inode(branch.inode()), Some(*branch));
        }
        assert_eq!(Branch::of_inode(1), Some(Branch::Root));
        for inode in [0, 2, 64] {
            assert_eq!(Branch::of_inode(inode), None, "{inode}");
        }
    }
}
