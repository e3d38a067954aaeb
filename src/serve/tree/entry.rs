//! Pure. The names of the direct connection's tree, made from the table of files.
//!
//! ```text
//! /proc/meminfo ...            the shared tree: the caller's own
//! /sys/devices/system/cpu/...
//! /sys/devices/system/node/...
//! /containers                  where the cached connection is mounted (see branch.rs)
//! /.direct/KEY/proc/...        one container's, for what the cached connection links to; not listed
//! ```

use crate::{
    base::{
        paths::CONTAINERS,
        units::{CpuId, Key, NodeId},
    },
    view::files::{Attribute, CPUS, File, PRESSURE, Rule},
};

/// The directories of a tree, each after its parent; rows are only ever added at the end.
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

/// Whose tree a node is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Whoever asks.
    Caller,
    /// The container with that key.
    Container(Key),
}

/// Something that has a name in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A directory of a tree.
    Directory(Owner, Directory),
    /// A file of a tree.
    File(Owner, File),
    /// A file or directory below `sys/devices/system`.
    System(Owner, Attribute),
    /// A link to the directory of a CPU from that of its memory node, or the other way.
    Link(Owner, Link),
    /// `containers`.
    Containers,
    /// `.direct`.
    OwnTrees,
}

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// To a CPU.
    Cpu(CpuId),
    /// To a memory node.
    Node(NodeId),
}

impl Link {
    /// What the link holds.
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

/// A directory of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Directory(pub(super) usize);

impl Directory {
    /// Its path below its tree's root.
    #[must_use]
    pub fn path(self) -> &'static str {
        DIRECTORIES.get(self.0).copied().unwrap_or_default()
    }
}

/// The root of the whole tree, which is that of the shared one.
pub const ROOT: Entry = Entry::Directory(Owner::Caller, Directory(0));

impl Entry {
    /// The same in the tree of the container with that key.
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

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        match self {
            Entry::Directory(..) | Entry::Containers | Entry::OwnTrees => true,
            Entry::System(_, attribute) => attribute.rule() == Rule::Directory,
            Entry::File(..) | Entry::Link(..) => false,
        }
    }

    /// Where it is below its tree's root; a name for a user.
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

    /// Whether it is a file that takes triggers.
    #[must_use]
    pub fn is_pressure(self) -> bool {
        matches!(self, Entry::File(_, file) if file.pressure().is_some())
    }

    /// Whose tree this directory is in, if what stands in it differs from one caller to the next.
    #[must_use]
    pub fn varying_owner(self) -> Option<Owner> {
        let (owner, path) = self.owned_path()?;
        match self {
            Entry::Directory(..) => [CPUS, PRESSURE].contains(&path.as_str()).then_some(owner),
            Entry::System(_, attribute) => {
                (attribute == Attribute::directory(attribute.subject())).then_some(owner)
            }
            _ => None,
        }
    }

    /// Whose it is, and where below their tree's root, if it is a directory of a tree.
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
