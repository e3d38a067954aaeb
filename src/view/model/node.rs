//! Pure. The memory of one node that a container sees: the node's part of the container's
//! `/proc/meminfo`.
//!
//! The parts of all nodes add up to the line in `/proc/meminfo`, in whole KiB.
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

use super::{
    memory::{Amount, Meminfo, MeminfoLine, MeminfoSource},
    parts::divided,
};
use crate::{
    base::units::{Bytes, NodeId},
    facts::{cgroup::MemoryUse, host},
};

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

/// Returns `meminfo` of the node `id`, with the lines of the machine's own file `host`. `whole` is
/// the container's `/proc/meminfo`. A node that is not in `shares` has no memory.
#[must_use]
pub fn meminfo(
    id: NodeId,
    whole: &Meminfo,
    shares: &[NodeShare],
    host: &host::Meminfo,
) -> Vec<MeminfoLine> {
    let at = shares.iter().position(|share| share.id == id);
    let part = |parts: &[u64]| at.and_then(|at| parts.get(at)).copied().unwrap_or(0);
    let totals = parted(number(whole, "MemTotal"), shares, |share| share.size.kib());
    let used = number(whole, "MemTotal").saturating_sub(number(whole, "MemFree"));
    let used = capped(
        &parted(used, shares, |share| total_use(share).kib()),
        &totals,
    );
    let like_part = |name: &str| {
        let keys = MeminfoSource::of(name).keys();
        part(&parted(number(whole, name), shares, |share| {
            like(keys, share).kib()
        }))
    };
    let line = |line: &MeminfoLine| {
        let name = line.name.as_str();
        let size = match name {
            "Active" => like_part("Active(anon)") + like_part("Active(file)"),
            "Inactive" => like_part("Inactive(anon)") + like_part("Inactive(file)"),
            "Slab" => like_part("SReclaimable") + like_part("SUnreclaim"),
            "MemTotal" => part(&totals),
            "MemUsed" => part(&used),
            "MemFree" => part(&totals).saturating_sub(part(&used)),
            "FilePages" => {
                let names = ["Cached", "SwapCached", "Buffers"];
                let pages = names.map(|name| number(whole, name)).iter().sum();
                part(&parted(pages, shares, |share| share.usage.file.kib()))
            }
            name => like_part(name),
        };
        MeminfoLine {
            name: line.name.clone(),
            amount: match line.amount {
                Amount::Size(_) => Amount::Size(Bytes::from_kib(size)),
                Amount::Count(_) => {
                    let count = number(whole, name);
                    Amount::Count(part(&parted(count, shares, |share| share.size.kib())))
                }
            },
        }
    };
    host.lines.iter().map(line).collect()
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
        let view = meminfo(NodeId(id), &whole(), shares, &host);
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
