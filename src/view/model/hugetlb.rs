//! Pure. The huge pages of one size that a container may have.
//!
//! | value | meaning |
//! |---|---|
//! | allowed | the machine's pool, at most every hugetlb limit; free: at most every limit less the use of its level |
//! | in `/proc/meminfo`, where memory has no limit below the machine's | the allowed pages |
//! | in `/proc/meminfo`, under limits of memory and of huge pages | the allowed pages, at most `MemTotal` |
//! | in `/proc/meminfo`, under a limit of memory only | the pages that the container uses, at most `MemTotal`: nothing grants the pool to the container, and the pool may be larger than its memory |
//! | in the directories of the memory nodes | the allowed pages, without a hugetlb limit at most `MemTotal`; divided as the machine's pool is, free pages as the free ones |
//!
//! The limit of memory does not count huge pages. So a program that maps huge pages may have all
//! allowed ones; only `/proc/meminfo` keeps the parts of memory within the whole.

use super::parts::divided;
use crate::{
    base::units::{Bytes, Limit},
    facts::cgroup::HugetlbLevel,
};

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HugePages {
    /// Pages of the pool.
    pub total: u64,
    /// Pages of the pool that nobody uses; at most `total`.
    pub free: u64,
    /// Free pages that mappings have reserved; at most `free`, and at most `total - free`.
    pub reserved: u64,
    /// Size of a page.
    pub size: Bytes,
}

impl HugePages {
    /// Returns the size of all pages.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes(self.size.0.saturating_mul(self.total))
    }

    fn count(&self, bytes: Bytes) -> u64 {
        bytes.0 / self.size.0.max(1)
    }

    /// Returns the pages with `total` lowered to a maximum, and the other counts with it.
    fn at_most(self, total: u64) -> HugePages {
        let total = self.total.min(total);
        let free = self.free.min(total);
        let reserved = self.reserved.min(free).min(total - free);
        HugePages {
            total,
            free,
            reserved,
            ..self
        }
    }
}

/// Returns the pages that the container may have of the machine's `pool`. `levels` are of the pool's
/// page size, from the container up.
#[must_use]
pub fn allowed(levels: &[HugetlbLevel], pool: HugePages) -> HugePages {
    let mut pages = HugePages {
        reserved: levels.first().map_or(0, |own| pool.count(own.reserved)),
        ..pool
    };
    for level in levels {
        if let Limit::At(max) = level.max {
            pages.total = pages.total.min(pool.count(max));
            pages.free = pages.free.min(pool.count(max.less(level.current)));
        }
    }
    let used = levels.first().map_or(0, |own| pool.count(own.current));
    pages.free = pages.free.min(pages.total.saturating_sub(used));
    pages.at_most(pages.total)
}

/// Returns the pages that `/proc/meminfo` of the container shows. `memory` is the container's
/// `MemTotal`, or `None` where that is the machine's.
#[must_use]
pub fn shown(levels: &[HugetlbLevel], pool: HugePages, memory: Option<Bytes>) -> HugePages {
    let pages = allowed(levels, pool);
    let Some(memory) = memory else { return pages };
    let is_granted = levels.iter().any(|level| level.max != Limit::Unlimited);
    let used = levels.first().map_or(0, |own| pool.count(own.current));
    let granted = match is_granted {
        true => pages,
        false => HugePages {
            free: 0,
            reserved: 0,
            ..pages
        }
        .at_most(used),
    };
    granted.at_most(pool.count(memory))
}

/// Returns the pages that the directories of the memory nodes show, whose pools in the machine are
/// `pools`, all of one page size. `memory` is as for [`shown`].
///
/// The pages of all nodes add up to what the container may have.
#[must_use]
pub fn of_nodes(
    levels: &[HugetlbLevel],
    pools: &[HugePages],
    memory: Option<Bytes>,
) -> Vec<HugePages> {
    let pages = |count: fn(&HugePages) -> u64| -> Vec<u64> { pools.iter().map(count).collect() };
    let sum = |counts: &[u64]| counts.iter().copied().fold(0, u64::saturating_add);
    let (totals, frees) = (pages(|pool| pool.total), pages(|pool| pool.free));
    let pool = HugePages {
        total: sum(&totals),
        free: sum(&frees),
        reserved: 0,
        size: pools.first().map_or(Bytes::ZERO, |pool| pool.size),
    };
    let mut whole = allowed(levels, pool);
    let is_granted = levels.iter().any(|level| level.max != Limit::Unlimited);
    if let (false, Some(memory)) = (is_granted, memory) {
        whole = whole.at_most(pool.count(memory));
    }
    let free = divided(whole.free, &frees);
    let less = |(total, free): (&u64, &u64)| total.saturating_sub(*free);
    let used: Vec<u64> = totals.iter().zip(&free).map(less).collect();
    let used = divided(whole.total - whole.free, &used);
    let node = |(free, used): (u64, u64)| HugePages {
        total: free + used,
        free,
        ..pool
    };
    free.into_iter().zip(used).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    const POOL: HugePages = HugePages {
        total: 512,
        free: 500,
        reserved: 9,
        size: Bytes(2 << 20),
    };

    fn level(max: Option<u64>, current: u64) -> HugetlbLevel {
        HugetlbLevel {
            max: max.map_or(Limit::Unlimited, |max| Limit::At(Bytes::from_mib(max))),
            current: Bytes::from_mib(current),
            reserved: Bytes::ZERO,
        }
    }

    fn counts(pages: HugePages) -> (u64, u64) {
        (pages.total, pages.free)
    }

    #[test]
    fn every_hugetlb_limit_decides_about_the_pool() {
        let levels = [level(Some(40), 4), level(Some(64), 60)];
        assert_eq!(counts(allowed(&levels, POOL)), (20, 2));
        assert_eq!(counts(allowed(&[], POOL)), (512, 500));
    }

    #[test]
    fn a_pool_that_nobody_granted_to_a_small_container_is_not_part_of_its_memory() {
        let memory = Some(Bytes::from_mib(256));
        assert_eq!(counts(shown(&[], POOL, memory)), (0, 0));
        assert_eq!(counts(shown(&[level(None, 6)], POOL, memory)), (3, 0));
        assert_eq!(counts(allowed(&[level(None, 6)], POOL)), (512, 500));
    }

    #[test]
    fn granted_pages_are_shown_within_the_memory() {
        let memory = Some(Bytes::from_mib(256));
        let levels = [level(Some(64), 8)];
        assert_eq!(counts(shown(&levels, POOL, memory)), (32, 28));
        let levels = [level(Some(800), 8)];
        assert_eq!(counts(shown(&levels, POOL, memory)), (128, 128));
        assert_eq!(counts(shown(&levels, POOL, None)), (400, 396));
    }

    #[test]
    fn the_nodes_share_what_the_container_may_have() {
        let node = |total, free| HugePages {
            total,
            free,
            ..POOL
        };
        let nodes = |levels: &[HugetlbLevel], memory| {
            let nodes = of_nodes(levels, &[node(300, 300), node(100, 0)], memory);
            nodes.into_iter().map(counts).collect::<Vec<_>>()
        };
        assert_eq!(nodes(&[], None), [(300, 300), (100, 0)]);
        assert_eq!(nodes(&[level(Some(40), 8)], None), [(18, 16), (2, 0)]);
        let memory = Some(Bytes::from_mib(256));
        assert_eq!(nodes(&[level(Some(400), 0)], memory), [(200, 200), (0, 0)]);
        assert_eq!(nodes(&[level(None, 0)], memory), [(128, 128), (0, 0)]);
        assert!(of_nodes(&[], &[], memory).is_empty());
    }

    #[test]
    fn reserved_pages_are_the_containers_own() {
        let reserving = HugetlbLevel {
            reserved: Bytes::from_mib(10),
            ..level(Some(64), 30)
        };
        assert_eq!(allowed(&[reserving], POOL).reserved, 5);
        assert_eq!(allowed(&[level(Some(64), 30)], POOL).reserved, 0);
    }

    proptest! {
        #[test]
        fn no_node_has_more_pages_than_in_the_machine_and_all_have_what_is_allowed(
            counts in prop::collection::vec((0u64..1 << 30, 0u64..1 << 30), 1..9),
            max in prop::option::of(0u64..1 << 50), current in 0u64..1 << 50,
        ) {
            let pool = |(total, free): &(u64, u64)| HugePages {
                total: *total, free: *total.min(free), ..POOL
            };
            let pools: Vec<HugePages> = counts.iter().map(pool).collect();
            let level = HugetlbLevel {
                max: max.map_or(Limit::Unlimited, |max| Limit::At(Bytes(max))),
                current: Bytes(current),
                reserved: Bytes::ZERO,
            };
            let nodes = of_nodes(&[level], &pools, None);
            let sum = |pages: &[HugePages]| pages.iter().map(|pages| pages.total).sum::<u64>();
            prop_assert!(nodes.iter().all(|node| node.free <= node.total));
            prop_assert!(nodes.iter().zip(&pools).all(|(node, pool)| node.total <= pool.total));
            let most = max.map_or(u64::MAX, |max| max / POOL.size.0);
            prop_assert_eq!(sum(&nodes), sum(&pools).min(most));
        }

        #[test]
        fn no_program_that_subtracts_huge_pages_gets_a_negative_number(
            limits in prop::collection::vec((any::<bool>(), any::<u64>(), any::<u64>()), 0..4),
            total: u64, free: u64, size in 1u64..1 << 34, memory in prop::option::of(0u64..1 << 50),
        ) {
            let level = |&(limited, max, current): &(bool, u64, u64)| HugetlbLevel {
                max: if limited { Limit::At(Bytes(max)) } else { Limit::Unlimited },
                current: Bytes(current),
                reserved: Bytes(max),
            };
            let levels: Vec<HugetlbLevel> = limits.iter().map(level).collect();
            let pool = HugePages { total, free: free.min(total), reserved: 0, size: Bytes(size) };
            let pages = shown(&levels, pool, memory.map(Bytes));
            prop_assert!(pages.total <= total);
            prop_assert!(pages.free <= pages.total);
            prop_assert!(pages.reserved <= pages.free);
            // netdata: HugePages_Total - HugePages_Free - HugePages_Rsvd, without a sign.
            prop_assert!(pages.free.checked_add(pages.reserved).is_some_and(|sum| sum <= pages.total));
            prop_assert!(memory.is_none_or(|memory| pages.bytes() <= Bytes(memory)));
        }
    }
}
