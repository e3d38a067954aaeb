//! Pure. Names and inode numbers of the tree, made from the table of files.
//!
//! ```text
//! /proc/meminfo ...            the shared tree: the caller's own
//! /sys/devices/system/cpu/...
//! /containers/KEY/proc/...     one container's
//! /containers/self             a link to the caller's own
//! ```
//!
//! An inode number is a container's key (0 in the shared tree, which no cgroup has) and a
//! node's number in the lowest byte; it never changes, in no version and over no restart.

use crate::files::{FILES, File};

/// The directories of a tree, each after its parent; rows are only ever added at the end.
const DIRECTORIES: [&str; 6] = [
    "",
    "proc",
    "sys",
    "sys/devices",
    "sys/devices/system",
    "sys/devices/system/cpu",
];

const NODE_BITS: u32 = 8;
const FIRST_DIRECTORY: u64 = 1;
const CONTAINERS: u64 = 32;
const OWN: u64 = 33;
const FIRST_FILE: u64 = 64;

/// The largest key that fits into an inode number.
///
/// A key is a kernfs node's id: a number that is used again only after 2^32 others, and how
/// often that has happened above it (`fs/kernfs/dir.c`).
pub const LARGEST_KEY: u64 = u64::MAX >> NODE_BITS;

/// Whose tree a node is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Whoever asks.
    Caller,
    /// The container with that key.
    Container(u64),
}

/// Something that has a name in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A directory of a tree.
    Directory(Owner, Directory),
    /// A file of a tree.
    File(Owner, File),
    /// `containers`.
    Containers,
    /// `containers/self`.
    Own,
}

/// A directory of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Directory(usize);

impl Directory {
    fn path(self) -> &'static str {
        DIRECTORIES.get(self.0).copied().unwrap_or_default()
    }
}

/// The root of the whole tree, which is that of the shared one.
pub const ROOT: Entry = Entry::Directory(Owner::Caller, Directory(0));

impl Entry {
    /// The root of a container's own tree.
    ///
    /// `None` for a key that no container has.
    #[must_use]
    pub fn container(key: u64) -> Option<Entry> {
        (1..=LARGEST_KEY)
            .contains(&key)
            .then_some(Entry::Directory(Owner::Container(key), Directory(0)))
    }

    /// The inode number; never 0.
    #[must_use]
    pub fn inode(self) -> u64 {
        let number = |first: u64, at: usize| first + u64::try_from(at).unwrap_or(0);
        let (owner, node) = match self {
            Entry::Directory(owner, directory) => (owner, number(FIRST_DIRECTORY, directory.0)),
            Entry::File(owner, file) => {
                let at = FILES.iter().position(|row| *row == file);
                (owner, number(FIRST_FILE, at.unwrap_or(0)))
            }
            Entry::Containers => (Owner::Caller, CONTAINERS),
            Entry::Own => (Owner::Caller, OWN),
        };
        match owner {
            Owner::Caller => node,
            Owner::Container(key) => (key << NODE_BITS) | node,
        }
    }

    /// What has that inode number, if anything can.
    #[must_use]
    pub fn of_inode(inode: u64) -> Option<Entry> {
        let owner = match inode >> NODE_BITS {
            0 => Owner::Caller,
            key => Owner::Container(key),
        };
        let node = inode & ((1 << NODE_BITS) - 1);
        if owner == Owner::Caller && node == CONTAINERS {
            return Some(Entry::Containers);
        }
        if owner == Owner::Caller && node == OWN {
            return Some(Entry::Own);
        }
        let at = |first: u64| usize::try_from(node.checked_sub(first)?).ok();
        if let Some(file) = at(FIRST_FILE) {
            return FILES.get(file).map(|file| Entry::File(owner, *file));
        }
        let directory = at(FIRST_DIRECTORY)?;
        (directory < DIRECTORIES.len()).then_some(Entry::Directory(owner, Directory(directory)))
    }

    /// What is named `name` in this directory.
    ///
    /// Whether a container with that key is alive, the tree does not know.
    #[must_use]
    pub fn child(self, name: &str) -> Option<Entry> {
        if self == Entry::Containers && name.parse().is_ok_and(|key: u64| key.to_string() == name) {
            return Entry::container(name.parse().ok()?);
        }
        self.children()
            .into_iter()
            .find(|(child, _)| *child == name)
            .map(|(_, entry)| entry)
    }

    /// What stands in this directory, by name; containers are not listed.
    #[must_use]
    pub fn children(self) -> Vec<(&'static str, Entry)> {
        let (owner, directory) = match self {
            Entry::Directory(owner, directory) => (owner, directory),
            Entry::Containers => return vec![("self", Entry::Own)],
            Entry::File(..) | Entry::Own => return Vec::new(),
        };
        let mut children = Vec::new();
        for (at, path) in DIRECTORIES.iter().enumerate().skip(1) {
            if let Some(name) = name_in(directory, path) {
                children.push((name, Entry::Directory(owner, Directory(at))));
            }
        }
        for file in FILES {
            if let Some(name) = name_in(directory, file.path()) {
                children.push((name, Entry::File(owner, file)));
            }
        }
        if self == ROOT {
            children.push(("containers", Entry::Containers));
        }
        children
    }
}

fn name_in(directory: Directory, path: &'static str) -> Option<&'static str> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    (parent == directory.path()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(from: Entry, found: &mut Vec<Entry>) {
        found.push(from);
        for (_, child) in from.children() {
            walk(child, found);
        }
    }

    fn at(path: &str) -> Option<Entry> {
        path.split('/')
            .try_fold(ROOT, |entry, name| entry.child(name))
    }

    #[test]
    fn every_file_is_reached_by_its_path() {
        for file in FILES {
            assert_eq!(at(file.path()), Some(Entry::File(Owner::Caller, file)));
            let own = format!("containers/77/{}", file.path());
            assert_eq!(at(&own), Some(Entry::File(Owner::Container(77), file)));
        }
    }

    #[test]
    fn an_inode_number_leads_back_to_its_entry() {
        let mut entries = Vec::new();
        walk(ROOT, &mut entries);
        walk(Entry::container(LARGEST_KEY).unwrap(), &mut entries);
        for entry in &entries {
            assert_eq!(Entry::of_inode(entry.inode()), Some(*entry));
        }
        let numbers: std::collections::BTreeSet<u64> =
            entries.iter().map(|entry| entry.inode()).collect();
        assert_eq!(numbers.len(), entries.len());
    }

    #[test]
    fn numbers_that_were_given_once_stay() {
        assert_eq!(ROOT.inode(), 1);
        assert_eq!(at("containers").unwrap().inode(), 32);
        assert_eq!(at("containers/self").unwrap().inode(), 33);
        assert_eq!(at("proc/meminfo").unwrap().inode(), 64);
        assert_eq!(at("sys/devices/system/cpu/online").unwrap().inode(), 70);
        assert_eq!(at("containers/2/proc/stat").unwrap().inode(), 512 + 66);
    }

    #[test]
    fn what_is_no_key_names_no_container() {
        for name in ["0", "-1", "07", "x", "", "18446744073709551615"] {
            assert_eq!(Entry::Containers.child(name), None, "{name}");
        }
        assert_eq!(Entry::of_inode(0), None);
        assert_eq!(Entry::of_inode(31), None);
    }
}
