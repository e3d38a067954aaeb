//! Pure. Entries of the direct connection's tree, made from the table of files.
//!
//! ```text
//! /proc/meminfo ...            the shared tree: files of the caller's container
//! /sys/devices/system/cpu/...
//! /sys/devices/system/node/...
//! /containers                  mount point of the cached connection (cached_entry.rs)
//! /.direct/KEY/proc/...        own tree of the container KEY, for links from the cached
//!                              connection; not listed
//! ```

use crate::{
    base::{
        paths::CONTAINERS,
        units::{CpuId, Key, NodeId},
    },
    view::files::{Attribute, CPUS, File, POLICIES, PRESSURE, Rule},
};

/// Paths of the directories of a tree, each after its parent. New rows go to the end: the row
/// number is part of the inode number.
pub(super) const DIRECTORIES: [&str; 7] = [
    "",
    "proc",
    "sys",
    "sys/devices",
    "sys/devices/system",
    "sys/devices/system/cpu",
    "proc/pressure",
];
/// The name of the directory that holds the containers' own trees.
pub(super) const OWN_TREES_NAME: &str = ".direct";

/// The container whose tree an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The container of the caller: the shared tree.
    Caller,
    /// The container with this key: its own tree below `.direct`.
    Container(Key),
}

/// A directory, file or link that has a name in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A directory of a tree.
    Directory(Owner, Directory),
    /// A file of a tree.
    File(Owner, File),
    /// A file or directory below `sys/devices/system`.
    System(Owner, Attribute),
    /// A link from the directory of a memory node to that of one of its CPUs, or the other way.
    Link(Owner, Link),
    /// `containers`, the mount point of the cached connection.
    Containers,
    /// `.direct`, the directory of the containers' own trees.
    OwnTrees,
}

/// The target of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// To a CPU.
    Cpu(CpuId),
    /// To a memory node.
    Node(NodeId),
}

impl Link {
    /// Returns the target as a relative path, such as `../../cpu/cpu3`.
    #[must_use]
    pub fn target(self) -> String {
        format!("../../{}", self.name_below())
    }

    fn name_below(self) -> String {
        match self {
            Link::Cpu(CpuId(cpu)) => format!("cpu/cpu{cpu}"),
            Link::Node(NodeId(node)) => format!("node/node{node}"),
        }
    }
}

/// A directory of a tree, by its row in the list of directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Directory(pub(super) usize);

impl Directory {
    /// Returns the path below the root of the tree; empty for the root.
    #[must_use]
    pub fn path(self) -> &'static str {
        DIRECTORIES.get(self.0).copied().unwrap_or_default()
    }
}

/// The root of the direct connection, which is the root of the shared tree.
pub const ROOT: Entry = Entry::Directory(Owner::Caller, Directory(0));

impl Entry {
    /// Returns the entry with this path in the tree of the container with that key.
    ///
    /// `containers` and `.direct` stay as they are, because a container's tree has neither.
    #[must_use]
    pub fn in_tree_of(self, key: Key) -> Entry {
        let own = Owner::Container(key);
        match self {
            Entry::Directory(_, directory) => Entry::Directory(own, directory),
            Entry::File(_, file) => Entry::File(own, file),
            Entry::System(_, attribute) => Entry::System(own, attribute),
            Entry::Link(_, link) => Entry::Link(own, link),
            Entry::Containers | Entry::OwnTrees => self,
        }
    }

    /// Returns whose entry this is; `None` for one that is everybody's.
    #[must_use]
    pub fn owner(self) -> Option<Owner> {
        match self {
            Entry::Directory(owner, _)
            | Entry::File(owner, _)
            | Entry::System(owner, _)
            | Entry::Link(owner, _) => Some(owner),
            Entry::Containers | Entry::OwnTrees => None,
        }
    }

    /// Returns whether the entry is a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        match self {
            Entry::Directory(..) | Entry::Containers | Entry::OwnTrees => true,
            Entry::System(_, attribute) => attribute.rule() == Rule::Directory,
            Entry::File(..) | Entry::Link(..) => false,
        }
    }

    /// Returns whether the entry is a symbolic link.
    #[must_use]
    pub fn is_link(self) -> bool {
        match self {
            Entry::Link(..) => true,
            Entry::System(_, attribute) => attribute.rule() == Rule::Link,
            _ => false,
        }
    }

    /// Returns the path below the root of the tree; empty for the root.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Entry::Directory(_, directory) => directory.path().to_owned(),
            Entry::File(_, file) => file.path().to_owned(),
            Entry::System(_, attribute) => attribute.path(),
            Entry::Link(_, link) => format!("sys/devices/system/{}", link.name_below()),
            Entry::Containers => CONTAINERS.to_owned(),
            Entry::OwnTrees => OWN_TREES_NAME.to_owned(),
        }
    }

    /// Returns whether the entry is a pressure file, which takes triggers.
    #[must_use]
    pub fn is_pressure(self) -> bool {
        matches!(self, Entry::File(_, file) if file.pressure().is_some())
    }

    /// Returns the owner of a directory whose children differ from caller to caller; `None` for any
    /// other entry.
    #[must_use]
    pub fn varying_owner(self) -> Option<Owner> {
        let (owner, path) = self.owned_path()?;
        match self {
            Entry::Directory(..) => [CPUS, PRESSURE].contains(&path.as_str()).then_some(owner),
            Entry::System(_, attribute) => {
                let varies =
                    attribute == Attribute::directory(attribute.subject()) || path == POLICIES;
                varies.then_some(owner)
            }
            _ => None,
        }
    }

    /// Returns the owner and the path of a directory of a tree; `None` for any other entry.
    pub(super) fn owned_path(self) -> Option<(Owner, String)> {
        match self {
            Entry::Directory(owner, _) => Some((owner, self.path())),
            Entry::System(owner, _) if self.is_directory() => Some((owner, self.path())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_its_directory_to_the_other() {
        assert_eq!(Link::Cpu(CpuId(3)).target(), "../../cpu/cpu3");
        assert_eq!(Link::Node(NodeId(0)).target(), "../../node/node0");
    }
}
