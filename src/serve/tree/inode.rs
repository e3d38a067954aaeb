//! Pure. The inode numbers of the direct connection's tree.
//!
//! An inode number is 40 bits of a container's key and 24 bits of a local number. No cgroup has the
//! key 0, which stands for the shared tree. The number of an entry never changes, in no version and
//! over no restart. A local number is 2 bits of kind and 22 bits that depend on the kind:
//!
//! ```text
//!  0 | row of a directory, a file or an attribute of the machine
//!  1 | CPU (13 bits, NR_CPUS is at most 8192)            | row of an attribute of it (9 bits)
//!  2 | memory node (10 bits, NODES_SHIFT is at most 10)  | row of an attribute of it (9 bits)
//!  2 | bit 20, and policy (13 bits, the number of a CPU) | row of an attribute of it (6 bits)
//!  3 | link to the directory of: 0 and a CPU (13 bits), or 1 and a memory node
//! ```

use super::entry::{DIRECTORIES, Directory, Entry, Link, Owner};
use crate::{
    base::units::{CpuId, Key, NodeId},
    view::files::{Attribute, FILES, Subject},
};

const NODE_BITS: u32 = 24;
const KIND_SHIFT: u32 = 22;
const FIRST_DIRECTORY: u64 = 1;
const CONTAINERS_NUMBER: u64 = 32;
const OWN_TREES_NUMBER: u64 = 34;
const FIRST_FILE: u64 = 64;
const FIRST_MACHINE_ATTRIBUTE: u64 = 128;
const CPU_KIND: u64 = 1;
const NODE_KIND: u64 = 2;
const LINK_KIND: u64 = 3;
const ROW_BITS: u32 = 9;
const POLICY_MARK: u64 = 1 << 20;
const POLICY_ROW_BITS: u32 = 6;
/// The largest CPU number that fits into an inode number.
pub(super) const MAX_CPU: u64 = (1 << 13) - 1;
/// The largest memory node number that fits into an inode number.
pub(super) const MAX_NODE: u64 = (1 << 10) - 1;
const NODE_LINK_MARK: u64 = 1 << 13;

/// The largest key that fits into an inode number.
///
/// A key is a kernfs node's id. The lower 32 bits are a number that the kernel uses again only
/// after 2^31 other inodes, and the upper 32 bits count these reuses (`fs/kernfs/dir.c`,
/// `__kernfs_new_node`).
pub(super) const MAX_KEY: u64 = u64::MAX >> NODE_BITS;

impl Entry {
    /// Returns the inode number, which is never 0.
    #[must_use]
    pub fn inode(self) -> u64 {
        let row = |at: Option<usize>| at.and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
        let (owner, node) = match self {
            Entry::Directory(owner, directory) => (owner, FIRST_DIRECTORY + row(Some(directory.0))),
            Entry::File(owner, file) => {
                let at = FILES.iter().position(|other| *other == file);
                (owner, FIRST_FILE + row(at))
            }
            Entry::System(owner, attribute) => (owner, attribute_number(attribute)),
            Entry::Link(owner, link) => (owner, link_number(link)),
            Entry::Containers => (Owner::Caller, CONTAINERS_NUMBER),
            Entry::OwnTrees => (Owner::Caller, OWN_TREES_NUMBER),
        };
        match owner {
            Owner::Caller => node,
            Owner::Container(key) => (key.0 << NODE_BITS) | node,
        }
    }

    /// Returns the entry with that inode number, or `None` if no entry can have it.
    #[must_use]
    pub fn from_inode(inode: u64) -> Option<Entry> {
        let owner = match inode >> NODE_BITS {
            0 => Owner::Caller,
            key => Owner::Container(Key(key)),
        };
        let node = inode & ((1 << NODE_BITS) - 1);
        let number = node & ((1 << KIND_SHIFT) - 1);
        match node >> KIND_SHIFT {
            0 => Entry::from_row(owner, number),
            LINK_KIND => link(number).map(|link| Entry::Link(owner, link)),
            kind => attribute(kind, number).map(|attribute| Entry::System(owner, attribute)),
        }
    }

    fn from_row(owner: Owner, number: u64) -> Option<Entry> {
        if owner == Owner::Caller && number == CONTAINERS_NUMBER {
            return Some(Entry::Containers);
        }
        if owner == Owner::Caller && number == OWN_TREES_NUMBER {
            return Some(Entry::OwnTrees);
        }
        let from = |first: u64| number.checked_sub(first);
        if let Some(row) = from(FIRST_MACHINE_ATTRIBUTE) {
            let attribute = Attribute::of_number(Subject::Machine, row.try_into().ok()?)?;
            return Some(Entry::System(owner, attribute));
        }
        if let Some(row) = from(FIRST_FILE) {
            let file = FILES.get(usize::try_from(row).ok()?)?;
            return Some(Entry::File(owner, *file));
        }
        let directory = usize::try_from(from(FIRST_DIRECTORY)?).ok()?;
        (directory < DIRECTORIES.len()).then_some(Entry::Directory(owner, Directory(directory)))
    }
}

fn attribute_number(attribute: Attribute) -> u64 {
    let row = u64::from(attribute.number());
    let of = |kind: u64, id: u32| (kind << KIND_SHIFT) | (u64::from(id) << ROW_BITS) | row;
    match attribute.subject() {
        Subject::Machine => FIRST_MACHINE_ATTRIBUTE + row,
        Subject::Cpu(CpuId(cpu)) => of(CPU_KIND, cpu),
        Subject::Node(NodeId(node)) => of(NODE_KIND, node),
        Subject::Policy(CpuId(cpu)) => {
            let policy = POLICY_MARK | (u64::from(cpu) << POLICY_ROW_BITS) | row;
            (NODE_KIND << KIND_SHIFT) | policy
        }
    }
}

fn attribute(kind: u64, number: u64) -> Option<Attribute> {
    let policy = number.checked_sub(POLICY_MARK);
    if let (NODE_KIND, Some(policy)) = (kind, policy) {
        let (cpu, row) = (
            policy >> POLICY_ROW_BITS,
            policy & ((1 << POLICY_ROW_BITS) - 1),
        );
        let subject = Subject::Policy(CpuId(cpu.try_into().ok()?));
        return (cpu <= MAX_CPU).then(|| Attribute::of_number(subject, row.try_into().ok()?))?;
    }
    let (id, row) = (number >> ROW_BITS, number & ((1 << ROW_BITS) - 1));
    let subject = match kind {
        CPU_KIND => Subject::Cpu(CpuId(id.try_into().ok()?)),
        NODE_KIND if id <= MAX_NODE => Subject::Node(NodeId(id.try_into().ok()?)),
        _ => return None,
    };
    Attribute::of_number(subject, row.try_into().ok()?)
}

fn link_number(link: Link) -> u64 {
    (LINK_KIND << KIND_SHIFT)
        | match link {
            Link::Cpu(CpuId(cpu)) => u64::from(cpu),
            Link::Node(NodeId(node)) => NODE_LINK_MARK | u64::from(node),
        }
}

fn link(number: u64) -> Option<Link> {
    match number.checked_sub(NODE_LINK_MARK) {
        None => Some(Link::Cpu(CpuId(number.try_into().ok()?))),
        Some(node) if node <= MAX_NODE => Some(Link::Node(NodeId(node.try_into().ok()?))),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::tree::{
        entry::ROOT,
        walk::{at, walk},
    };

    #[test]
    fn an_inode_number_leads_back_to_its_entry() {
        let mut entries = Vec::new();
        walk(ROOT, &mut entries);
        walk(Entry::container_root(Key(MAX_KEY)).unwrap(), &mut entries);
        for entry in &entries {
            assert_eq!(Entry::from_inode(entry.inode()), Some(*entry));
        }
        // A link has one number in every directory.
        entries.retain(|entry| !matches!(entry, Entry::Link(..)));
        let numbers: std::collections::BTreeSet<u64> =
            entries.iter().map(|entry| entry.inode()).collect();
        assert_eq!(numbers.len(), entries.len());
    }

    #[test]
    fn numbers_that_were_given_once_stay() {
        assert_eq!(ROOT.inode(), 1);
        assert_eq!(at("containers").unwrap().inode(), 32);
        assert_eq!(at(".direct").unwrap().inode(), 34);
        assert_eq!(at("proc/meminfo").unwrap().inode(), 64);
        assert_eq!(at("sys/devices/system/cpu/online").unwrap().inode(), 70);
        assert_eq!(at("sys/devices/system/cpu/present").unwrap().inode(), 129);
        let core = at("sys/devices/system/cpu/cpu1/topology/core_id").unwrap();
        assert_eq!(core.inode(), (1 << 22) + (1 << 9) + 4);
        let driver = at("sys/devices/system/cpu/cpufreq/policy1/related_cpus").unwrap();
        assert_eq!(driver.inode(), (2 << 22) + (1 << 20) + (1 << 6) + 2);
        let key = 2 << 24;
        assert_eq!(at(".direct/2/proc/stat").unwrap().inode(), key + 66);
    }

    #[test]
    fn what_was_never_given_is_no_entry() {
        assert_eq!(Entry::from_inode(0), None);
        assert_eq!(Entry::from_inode(31), None);
    }
}
