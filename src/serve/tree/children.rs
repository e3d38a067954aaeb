//! Pure. Children of the directories in the direct connection's tree.

use super::{
    entry::{DIRECTORIES, Directory, Entry, Link, OWN_TREES_NAME, Owner, ROOT},
    inode::{MAX_CPU, MAX_KEY, MAX_NODE},
};
use crate::{
    base::{
        paths::CONTAINERS,
        units::{CpuId, Key, NodeId},
    },
    view::files::{Attribute, CPUS, FILES, NODES, POLICIES, Subject, VisibleDevices, number_after},
};

// Offsets in a directory: children that the tree names come first, then numbered ones by number.
const FIRST_NUMBERED_OFFSET: u64 = 256;

impl Entry {
    /// Returns the root of a container's own tree, or `None` for a key that no container can have.
    #[must_use]
    pub fn container_root(key: Key) -> Option<Entry> {
        (1..=MAX_KEY)
            .contains(&key.0)
            .then_some(Entry::Directory(Owner::Container(key), Directory(0)))
    }

    /// Returns the child of this directory with that name, or `None` if no machine can have one.
    ///
    /// The caller of this function must check that a container with that key is alive, that the
    /// machine has such a CPU or node, and that the reader may see it.
    #[must_use]
    pub fn child(self, name: &str) -> Option<Entry> {
        if self == Entry::OwnTrees {
            return parse_key(name).and_then(Entry::container_root);
        }
        if self == ROOT && name == OWN_TREES_NAME {
            return Some(Entry::OwnTrees);
        }
        let mut children = self.named_children().into_iter();
        let named = children.find(|(child, _)| *child == name);
        named
            .map(|(_, entry)| entry)
            .or_else(|| self.numbered_child(name))
    }

    /// Returns the CPU, memory node or policy that has that name in this directory, or the link to
    /// one.
    fn numbered_child(self, name: &str) -> Option<Entry> {
        let (owner, path) = self.owned_path()?;
        let cpu = || number_after(name, "cpu").filter(|CpuId(cpu)| u64::from(*cpu) <= MAX_CPU);
        let policy =
            || number_after(name, "policy").filter(|CpuId(cpu)| u64::from(*cpu) <= MAX_CPU);
        let node =
            || number_after(name, "node").filter(|NodeId(node)| u64::from(*node) <= MAX_NODE);
        let directory = |subject| Entry::System(owner, Attribute::directory(subject));
        match self {
            Entry::Directory(..) if path == CPUS => cpu().map(Subject::Cpu).map(directory),
            Entry::System(..) if path == NODES => node().map(Subject::Node).map(directory),
            Entry::System(..) if path == POLICIES => policy().map(Subject::Policy).map(directory),
            Entry::System(_, attribute)
                if attribute == Attribute::directory(attribute.subject()) =>
            {
                let link = match attribute.subject() {
                    Subject::Cpu(_) => Link::Node(node()?),
                    Subject::Node(_) => Link::Cpu(cpu()?),
                    Subject::Machine | Subject::Policy(_) => return None,
                };
                Some(Entry::Link(owner, link))
            }
            _ => None,
        }
    }

    /// Returns the children of this directory that do not depend on the caller, with their names.
    ///
    /// `.direct` and the containers in it are not listed.
    #[must_use]
    pub fn named_children(self) -> Vec<(String, Entry)> {
        let Some((owner, path)) = self.owned_path() else {
            return Vec::new();
        };
        let mut children = Vec::new();
        let mut add = |child: &str, entry: Entry| {
            if let Some(name) = name_in(&path, child) {
                children.push((name.to_owned(), entry));
            }
        };
        for (at, directory) in DIRECTORIES.iter().enumerate().skip(1) {
            add(directory, Entry::Directory(owner, Directory(at)));
        }
        for file in FILES {
            add(file.path(), Entry::File(owner, file));
        }
        for attribute in Attribute::in_directory(&path) {
            add(&attribute.path(), Entry::System(owner, attribute));
        }
        if self == ROOT {
            children.push((CONTAINERS.to_owned(), Entry::Containers));
        }
        children
    }

    /// Returns the CPUs, memory nodes, policies and links in this directory for a caller that sees these
    /// devices, each with its offset and its name.
    ///
    /// The offset is at least 256, above that of any named child, and depends only on the number.
    #[must_use]
    pub fn numbered_children(self, shown: &VisibleDevices) -> Vec<(u64, String, Entry)> {
        let cpus = || shown.cpus.iter().map(|CpuId(cpu)| ("cpu", cpu));
        let nodes = || shown.nodes.iter().map(|(NodeId(node), _)| ("node", *node));
        let of_node = |node: NodeId| {
            let mut nodes = shown.nodes.iter().filter(move |(other, _)| *other == node);
            nodes
                .next()
                .map(|(_, cpus)| cpus.iter().map(|CpuId(cpu)| ("cpu", cpu)))
        };
        let of_cpu = |cpu: CpuId| {
            let home = shown
                .nodes
                .iter()
                .filter(move |(_, cpus)| cpus.contains(cpu));
            home.map(|(NodeId(node), _)| ("node", *node))
        };
        let names: Vec<(&str, u32)> = match self {
            Entry::Directory(_, directory) if directory.path() == CPUS => cpus().collect(),
            Entry::System(_, attribute) if attribute.path() == NODES => nodes().collect(),
            Entry::System(_, attribute) if attribute.path() == POLICIES => {
                let policies = shown.policies.iter();
                policies.map(|CpuId(cpu)| ("policy", cpu)).collect()
            }
            Entry::System(_, attribute)
                if attribute == Attribute::directory(attribute.subject()) =>
            {
                match attribute.subject() {
                    Subject::Cpu(cpu) => of_cpu(cpu).collect(),
                    Subject::Node(node) => of_node(node).into_iter().flatten().collect(),
                    Subject::Machine | Subject::Policy(_) => Vec::new(),
                }
            }
            _ => Vec::new(),
        };
        let entry = |(kind, number): (&str, u32)| {
            let name = format!("{kind}{number}");
            let entry = self.numbered_child(&name)?;
            Some((FIRST_NUMBERED_OFFSET + u64::from(number), name, entry))
        };
        names.into_iter().filter_map(entry).collect()
    }
}

/// Parses a directory's name as a container's key; `None` unless it is written as a key prints.
pub(super) fn parse_key(name: &str) -> Option<Key> {
    let key = name.parse::<Key>().ok()?;
    (key.to_string() == name).then_some(key)
}

/// Returns the last part of `path` if the rest is `directory`.
fn name_in<'path>(directory: &str, path: &'path str) -> Option<&'path str> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    (parent == directory).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::tree::walk::{at, shown, walk};

    #[test]
    fn every_file_is_reached_by_its_path() {
        for file in FILES {
            assert_eq!(at(file.path()), Some(Entry::File(Owner::Caller, file)));
            let own = format!(".direct/77/{}", file.path());
            assert_eq!(at(&own), Some(Entry::File(Owner::Container(Key(77)), file)));
        }
        for path in [
            "sys/devices/system/cpu/cpu9/topology/core_id",
            "sys/devices/system/node/node1/meminfo",
        ] {
            let attribute = Attribute::at(path).unwrap();
            assert_eq!(at(path), Some(Entry::System(Owner::Caller, attribute)));
        }
        let link = at("sys/devices/system/node/node1/cpu9");
        assert_eq!(link, Some(Entry::Link(Owner::Caller, Link::Cpu(CpuId(9)))));
    }

    #[test]
    fn a_directory_lists_nothing_twice_and_each_at_a_place_of_its_own() {
        let mut entries = Vec::new();
        walk(ROOT, &mut entries);
        for entry in entries {
            let named = entry.named_children();
            assert!(u64::try_from(named.len()).unwrap() + 2 < FIRST_NUMBERED_OFFSET);
            let members = entry.numbered_children(&shown());
            let names = named.iter().map(|(name, _)| name);
            let names: Vec<&String> = names
                .chain(members.iter().map(|(_, name, _)| name))
                .collect();
            let different: std::collections::BTreeSet<_> = names.iter().collect();
            assert_eq!(different.len(), names.len());
            for name in names {
                assert!(entry.child(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_key_names_no_container() {
        for name in ["0", "-1", "07", "x", "", "18446744073709551615"] {
            assert_eq!(Entry::OwnTrees.child(name), None, "{name}");
        }
    }
}
