//! Pure. The memory of one node that a container sees: the node's part of the container's
//! `/proc/meminfo` and `/proc/vmstat`.
//!
//! The parts of all nodes add up to the line in `/proc/meminfo`. Each part is a number of whole pages, so
//! that it agrees with the count in `vmstat`; the first node has what is left of a line without whole pages.
//!
//! | line | whole amount | divided by |
//! |---|---|---|
//! | `MemTotal` | `MemTotal` | the sizes of the nodes in the machine |
//! | `MemUsed` | `MemTotal` less `MemFree` | the container's use of each node (`memory.numa_stat`), at most the node's `MemTotal` |
//! | `MemFree` | | the node's `MemTotal` less its `MemUsed` |
//! | `FilePages` | `Cached`, `SwapCached` and `Buffers` | the container's file pages on each |
//! | `Active`, `Inactive`, `Slab` | | the node's parts of the two lines that `/proc/meminfo` adds |
//! | a line that `/proc/meminfo` has too | that line | the same kind of memory on each node, or all use of each node |
//! | all other lines, and lines of future kernels | 0 | |
//!
//! The parts of all nodes add up to the line in `/proc/vmstat`.
//!
//! | line | divided by |
//! |---|---|
//! | `nr_free_pages` | `MemFree` of each node |
//! | a line that `/proc/vmstat` has too | the same kind of memory on each node, or all use of each node |
//! | all other lines | 0 |

use super::{
    memory::{Amount, Meminfo, MeminfoLine, MeminfoSource},
    parts::divided,
    vmstat::VmstatSource,
};
use crate::{
    base::units::{Bytes, NodeId},
    facts::{cgroup::MemoryUse, host},
};
use std::collections::BTreeMap;

/// Memory node that the container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeShare {
    /// Number of the node.
    pub id: NodeId,
    /// Size of the node in the machine.
    pub size: Bytes,
    /// Use of the node by the container.
    pub usage: MemoryUse,
}

/// The lines of `meminfo` of all nodes that a container may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeMeminfo(Parts);

/// The counts of `vmstat` of all nodes that a container may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVmstat(Parts);

/// Amounts by name, each divided among the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    nodes: BTreeMap<NodeId, usize>,
    amounts: BTreeMap<String, Vec<u64>>,
}

impl Parts {
    fn new(shares: &[NodeShare], amounts: impl Iterator<Item = (String, Vec<u64>)>) -> Parts {
        let nodes = shares.iter().enumerate();
        Parts {
            nodes: nodes.map(|(at, share)| (share.id, at)).collect(),
            amounts: amounts.collect(),
        }
    }

    /// Returns the part of the node; 0 for a name or a node that is not known.
    fn of(&self, node: NodeId, name: &str) -> u64 {
        let parts = self.amounts.get(name);
        let at = self.nodes.get(&node);
        let part = parts.zip(at).and_then(|(parts, at)| parts.get(*at));
        part.copied().unwrap_or(0)
    }
}

impl NodeMeminfo {
    /// Divides the container's `/proc/meminfo`, `whole`, among the nodes. `host` is the file of a node
    /// of the machine, whose lines are divided: the files of all nodes have the same ones.
    #[must_use]
    pub fn new(whole: &Meminfo, shares: &[NodeShare], host: &host::Meminfo) -> NodeMeminfo {
        let parts = |line: &MeminfoLine| {
            let parts = match line.amount {
                Amount::Size(_) => size_parts(&line.name, whole, shares, host.page),
                Amount::Count(_) => {
                    parted(number(whole, &line.name), shares, |share| share.size.kib())
                }
            };
            (line.name.clone(), parts)
        };
        NodeMeminfo(Parts::new(shares, host.lines.iter().map(parts)))
    }

    /// Returns `meminfo` of the node `id`, with the lines of the machine's own file `host`. A node that
    /// the container may not use has no memory.
    #[must_use]
    pub fn of(&self, id: NodeId, host: &host::Meminfo) -> Vec<MeminfoLine> {
        let line = |line: &MeminfoLine| {
            let part = self.0.of(id, &line.name);
            MeminfoLine {
                name: line.name.clone(),
                amount: match line.amount {
                    Amount::Size(_) => Amount::Size(Bytes::from_kib(part)),
                    Amount::Count(_) => Amount::Count(part),
                },
            }
        };
        host.lines.iter().map(line).collect()
    }
}

impl NodeVmstat {
    /// Divides the container's `/proc/vmstat`, `whole`, among the nodes. `meminfo` is the container's
    /// `/proc/meminfo`, and `page` the size of a page.
    #[must_use]
    pub fn new(
        whole: &[(String, u64)],
        meminfo: &Meminfo,
        shares: &[NodeShare],
        page: Bytes,
    ) -> NodeVmstat {
        let free = size_parts("MemFree", meminfo, shares, page);
        let parts = |(name, count): &(String, u64)| {
            let parts = match VmstatSource::of(name) {
                VmstatSource::Free if free.iter().any(|free| *free > 0) => divided(*count, &free),
                source => parted(*count, shares, |share| like(source.keys(), share).kib()),
            };
            (name.clone(), parts)
        };
        NodeVmstat(Parts::new(shares, whole.iter().map(parts)))
    }

    /// Returns `vmstat` of the node `id`, with the names of the machine's own file `host`.
    #[must_use]
    pub fn of(&self, id: NodeId, host: &host::Vmstat) -> Vec<(String, u64)> {
        let names = host.names.iter();
        names
            .map(|name| (name.clone(), self.0.of(id, name)))
            .collect()
    }
}

/// Returns the KiB of the line with that name on each node.
fn size_parts(name: &str, whole: &Meminfo, shares: &[NodeShare], page: Bytes) -> Vec<u64> {
    let parted = |kib: u64, weight: &dyn Fn(&NodeShare) -> Bytes| {
        let page = page.kib().max(1);
        let pages = parted(kib / page, shares, |share| weight(share).kib());
        let mut parts: Vec<u64> = pages.into_iter().map(|pages| pages * page).collect();
        if let Some(first) = parts.first_mut() {
            *first += kib % page;
        }
        parts
    };
    let line = |name: &str| {
        let keys = MeminfoSource::of(name).keys();
        parted(number(whole, name), &|share| like(keys, share))
    };
    let added = |first: &str, second: &str| {
        let pairs = line(first).into_iter().zip(line(second));
        pairs.map(|(first, second)| first + second).collect()
    };
    let totals = || parted(number(whole, "MemTotal"), &|share| share.size);
    let used = || {
        let used = number(whole, "MemTotal").saturating_sub(number(whole, "MemFree"));
        let parts = parted(used, &total_use);
        capped(&parts, &totals())
    };
    match name {
        "Active" => added("Active(anon)", "Active(file)"),
        "Inactive" => added("Inactive(anon)", "Inactive(file)"),
        "Slab" => added("SReclaimable", "SUnreclaim"),
        "MemTotal" => totals(),
        "MemUsed" => used(),
        "MemFree" => {
            let pairs = totals().into_iter().zip(used());
            pairs
                .map(|(total, used)| total.saturating_sub(used))
                .collect()
        }
        "FilePages" => {
            let names = ["Cached", "SwapCached", "Buffers"];
            let pages = names.map(|name| number(whole, name)).iter().sum();
            parted(pages, &|share| share.usage.file)
        }
        name => line(name),
    }
}

/// Returns the KiB or the count in a line; 0 where the kernel has no such line.
fn number(whole: &Meminfo, name: &str) -> u64 {
    let line = whole.lines.iter().find(|line| line.name == name);
    match line.map(|line| line.amount) {
        Some(Amount::Size(size)) => size.kib(),
        Some(Amount::Count(count)) => count,
        None => 0,
    }
}

fn total_use(share: &NodeShare) -> Bytes {
    let usage = &share.usage;
    let kernel = usage.slab_reclaimable.plus(usage.slab_unreclaimable);
    usage.anon.plus(usage.file).plus(kernel)
}

/// Returns the use of a node by the kinds of memory with these names; all use of the node where there
/// are none, because no cgroup counts the kind.
fn like(keys: &[&str], share: &NodeShare) -> Bytes {
    match keys {
        [] => total_use(share),
        keys => {
            let amounts = keys.iter().map(|key| share.usage.of(key));
            amounts.fold(Bytes::ZERO, Bytes::plus)
        }
    }
}

/// Divides the amount into parts in proportion to the weights, or to the sizes of the nodes where
/// every weight is 0. The parts add up to the amount.
fn parted(amount: u64, shares: &[NodeShare], weight: impl Fn(&NodeShare) -> u64) -> Vec<u64> {
    let mut weights: Vec<u64> = shares.iter().map(weight).collect();
    if weights.iter().all(|weight| *weight == 0) {
        weights = shares.iter().map(|share| share.size.kib().max(1)).collect();
    }
    divided(amount, &weights)
}

/// Returns the parts, each at most its cap: an excess goes to the parts that have room.
fn capped(parts: &[u64], caps: &[u64]) -> Vec<u64> {
    let pairs = || parts.iter().zip(caps);
    let mut over: u64 = pairs().map(|(part, cap)| part.saturating_sub(*cap)).sum();
    let fit = |(part, cap): (&u64, &u64)| {
        let more = over.min(cap.saturating_sub(*part));
        over -= more;
        *part.min(cap) + more
    };
    pairs().map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::host::parse;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    const LINES: &str = "Node 0 MemTotal: 9 kB\nNode 0 MemFree: 9 kB\nNode 0 MemUsed: 9 kB\n\
        Node 0 FilePages: 9 kB\nNode 0 AnonPages: 9 kB\nNode 0 Future: 9 kB\nNode 0 HugePages_Total: 9\n";

    fn share(id: u32, size: u64, anon: u64, file: u64) -> NodeShare {
        NodeShare {
            id: NodeId(id),
            size: Bytes::from_kib(size),
            usage: MemoryUse {
                anon: Bytes::from_kib(anon),
                file: Bytes::from_kib(file),
                ..MemoryUse::default()
            },
        }
    }

    fn whole() -> Meminfo {
        let host = parse::meminfo(
            "MemTotal: 101 kB\nMemFree: 11 kB\nCached: 30 kB\nBuffers: 1 kB\nAnonPages: 40 kB\n\
             HugePages_Total: 3\n",
        );
        Meminfo { lines: host.lines }
    }

    fn of(id: u32, shares: &[NodeShare]) -> Vec<u64> {
        let host = parse::node_meminfo(LINES);
        let view = NodeMeminfo::new(&whole(), shares, &host).of(NodeId(id), &host);
        let amount = |line: &MeminfoLine| match line.amount {
            Amount::Size(size) => size.kib(),
            Amount::Count(count) => count,
        };
        view.iter().map(amount).collect()
    }

    #[test]
    fn the_only_node_holds_all_of_it() {
        assert_eq!(of(0, &[share(0, 7, 1, 1)]), [101, 11, 90, 31, 40, 0, 3]);
    }

    #[test]
    fn a_node_that_is_full_leaves_the_rest_to_the_other() {
        let shares = [share(0, 500, 80, 10), share(1, 500, 0, 0)];
        assert_eq!(of(0, &shares), [50, 0, 50, 31, 40, 0, 1]);
        assert_eq!(of(1, &shares), [51, 11, 40, 0, 0, 0, 2]);
    }

    #[test]
    fn counts_of_the_nodes_add_up_and_lie_where_the_memory_does() {
        let names = ["nr_free_pages", "nr_anon_pages", "numa_hit", "nr_future"];
        let whole: Vec<(String, u64)> = (names.iter())
            .zip([3, 10, 0, 9])
            .map(|(name, count)| ((*name).to_owned(), count))
            .collect();
        let shares = [share(0, 500, 80, 10), share(1, 500, 0, 0)];
        let parts = NodeVmstat::new(&whole, &self::whole(), &shares, Bytes::ZERO);
        let host =
            parse::vmstat("nr_free_pages 7\nnr_anon_pages 7\nnuma_hit 7\nnr_future 7\nother 7\n");
        let of = |id: u32| -> Vec<u64> {
            let view = parts.of(NodeId(id), &host);
            view.into_iter().map(|(_, count)| count).collect()
        };
        assert_eq!(of(0), [0, 10, 0, 9, 0]);
        assert_eq!(of(1), [3, 0, 0, 0, 0]);
        assert_eq!(of(4), [0; 5]);
    }

    #[test]
    fn a_node_whose_memory_may_not_be_used_has_none() {
        assert_eq!(of(4, &[share(0, 7, 1, 1)]), [0; 7]);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_none_exceeds_its_node(
            nodes in prop::collection::vec((1u64..1 << 40, 0u64..1 << 40), 1..9),
            total in 0u64..1 << 42,
            free in 0u64..1 << 42,
        ) {
            let shares: Vec<NodeShare> = (0..)
                .zip(&nodes)
                .map(|(id, (size, anon))| share(id, *size, *anon, 0))
                .collect();
            let totals = parted(total, &shares, |share| share.size.kib());
            prop_assert_eq!(totals.iter().sum::<u64>(), total);
            let used = total.saturating_sub(free);
            let parts = capped(&parted(used, &shares, |share| total_use(share).kib()), &totals);
            prop_assert_eq!(parts.iter().sum::<u64>(), used);
            prop_assert!(parts.iter().zip(&totals).all(|(part, total)| part <= total));
        }
    }
}
