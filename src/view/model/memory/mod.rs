//! Pure. The memory that a container sees: a machine with the size of the container's limits, on
//! which only the container uses memory.
//!
//! | line | meaning |
//! |---|---|
//! | `MemTotal` | the lowest of the machine's memory and every limit from the container up |
//! | `MemFree` | the lowest, over the same levels, of limit less use; for the machine: its `MemAvailable` less the container's own cache, so that free and cached never count the same page twice |
//! | `MemAvailable` | the lowest, over the same levels, of limit less use plus reclaimable memory; for the machine: its own `MemAvailable` |
//! | `SwapTotal` | the lowest of the machine's swap and every swap limit; on v1, where limits hold for memory and swap together, the lowest of them less `MemTotal` |
//! | `SwapFree` | `SwapTotal` less the container's own swap, at most the free swap of every level and of the machine |
//! | use (`AnonPages`, `Cached`, `Slab`, ...) | `memory.stat` of the container's own cgroup |
//! | `CommitLimit` | the kernel's formula with the machine's ratio and the container's sizes |
//! | `Committed_AS` | anonymous and shared memory and swap in use, for no cgroup counts commitments |
//! | `HugePages_Total`, `HugePages_Free` | the machine's pool of huge pages, at most every hugetlb limit; free: at most every limit less the use of its level |
//! | `Hugetlb` | `HugePages_Total` as a size |
//! | `Hugepagesize`, `VmallocTotal`, `DirectMap*` | facts of the machine |
//! | all other lines, and lines of future kernels | 0 |

mod source;

pub use crate::facts::host::{Amount, MeminfoLine};
pub use source::MeminfoSource;

use crate::{
    base::units::{Bytes, Limit},
    facts::{
        cgroup::{HugetlbLevel, Memory, MemoryUse, SwapLimit},
        host,
    },
};

/// `/proc/meminfo` of a container: the machine's lines, with the container's values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meminfo {
    /// Lines in the machine's order.
    pub lines: Vec<MeminfoLine>,
}

/// Memory and swap sizes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// `MemTotal`.
    pub total: Bytes,
    /// `MemFree`; never more than `available`.
    pub free: Bytes,
    /// `MemAvailable`; never more than `total`.
    pub available: Bytes,
    /// `SwapTotal`.
    pub swap_total: Bytes,
    /// `SwapFree`; never more than `swap_total`.
    pub swap_free: Bytes,
}

/// Lowest of several amounts, and the level that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lowest {
    /// Lowest amount.
    pub amount: Bytes,
    /// Steps from the container's own cgroup up to the level; `None` for the machine.
    pub steps: Option<usize>,
}

impl Lowest {
    fn machine(amount: Bytes) -> Lowest {
        Lowest {
            amount,
            steps: None,
        }
    }

    /// Returns the lower of this amount and `amount` of the level `steps`.
    fn or(self, amount: Bytes, steps: usize) -> Lowest {
        match amount < self.amount {
            true => Lowest {
                amount,
                steps: Some(steps),
            },
            false => self,
        }
    }

    fn at_most(self, max: Bytes) -> Lowest {
        Lowest {
            amount: self.amount.min(max),
            ..self
        }
    }
}

/// [`Sizes`], each with the level that decided about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedSizes {
    /// `MemTotal`.
    pub total: Lowest,
    /// `MemFree`.
    pub free: Lowest,
    /// `MemAvailable`.
    pub available: Lowest,
    /// `SwapTotal`.
    pub swap_total: Lowest,
    /// `SwapFree`.
    pub swap_free: Lowest,
}

/// Returns the sizes of a container from the facts of its cgroups and of the machine.
#[must_use]
pub fn sizes(memory: &Memory, host: &host::Meminfo) -> Sizes {
    let decided = decided(memory, host);
    Sizes {
        total: decided.total.amount,
        free: decided.free.amount,
        available: decided.available.amount,
        swap_total: decided.swap_total.amount,
        swap_free: decided.swap_free.amount,
    }
}

/// Returns the sizes of a container, each with the level that decided about it.
#[must_use]
pub fn decided(memory: &Memory, host: &host::Meminfo) -> DecidedSizes {
    let host_available = host.size("MemAvailable");
    let mut total = Lowest::machine(host.size("MemTotal"));
    let mut free = Lowest::machine(host_available.less(memory.usage.reclaimable()));
    let mut available = Lowest::machine(host_available);
    for level in &memory.levels {
        if let Limit::At(max) = level.max {
            let left = max.less(level.current);
            // Reclaimable memory is part of the use, but the kernel reads the two at two moments.
            let reclaimed = left.plus(level.reclaimable.min(level.current)).min(max);
            total = total.or(max, level.steps);
            free = free.or(left, level.steps);
            available = available.or(reclaimed, level.steps);
        }
    }
    let available = available.at_most(total.amount);
    let (swap_total, swap_free) = swap(memory, total.amount, host);
    DecidedSizes {
        total,
        free: free.at_most(available.amount),
        available,
        swap_total,
        swap_free,
    }
}

fn swap(memory: &Memory, mem_total: Bytes, host: &host::Meminfo) -> (Lowest, Lowest) {
    let mut total = Lowest::machine(host.size("SwapTotal"));
    let mut free = Lowest::machine(host.size("SwapFree"));
    for level in &memory.levels {
        let Some(swap) = level.swap else { continue };
        match swap.max {
            SwapLimit::Alone(Limit::At(max)) => {
                total = total.or(max, level.steps);
                free = free.or(max.less(swap.current), level.steps);
            }
            SwapLimit::WithMemory(Limit::At(both)) => {
                total = total.or(both.less(mem_total), level.steps);
            }
            SwapLimit::Alone(Limit::Unlimited) | SwapLimit::WithMemory(Limit::Unlimited) => {}
        }
    }
    let own = memory.levels.first().and_then(|level| level.swap);
    let used = own.map_or(Bytes::ZERO, |own| own.current);
    (total, free.at_most(total.amount.less(used)))
}

/// Huge pages of the machine's default size that a container may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct HugePages {
    total: u64,
    free: u64,
    size: Bytes,
}

fn huge_pages(levels: &[HugetlbLevel], host: &host::Meminfo) -> HugePages {
    let size = host.size("Hugepagesize");
    let mut pages = HugePages {
        total: host.count("HugePages_Total"),
        free: host.count("HugePages_Free"),
        size,
    };
    for level in levels {
        if let Limit::At(max) = level.max {
            pages.total = pages.total.min(max.0 / size.0.max(1));
            pages.free = pages.free.min(max.less(level.current).0 / size.0.max(1));
        }
    }
    HugePages {
        free: pages.free.min(pages.total),
        ..pages
    }
}

/// Facts that the lines are made from.
struct MeminfoFacts<'a> {
    sizes: Sizes,
    huge: HugePages,
    usage: &'a MemoryUse,
    host: &'a host::Meminfo,
}

/// Returns `/proc/meminfo` of a container.
#[must_use]
pub fn meminfo(memory: &Memory, hugetlb: &[HugetlbLevel], host: &host::Meminfo) -> Meminfo {
    let facts = MeminfoFacts {
        sizes: sizes(memory, host),
        huge: huge_pages(hugetlb, host),
        usage: &memory.usage,
        host,
    };
    let line = |line: &MeminfoLine| MeminfoLine {
        name: line.name.clone(),
        amount: amount(MeminfoSource::of(&line.name), line.amount, &facts),
    };
    Meminfo {
        lines: host.lines.iter().map(line).collect(),
    }
}

/// Returns the amount from that source; `fact` is the amount in the machine's own line.
fn amount(source: MeminfoSource, fact: Amount, facts: &MeminfoFacts<'_>) -> Amount {
    let (sizes, usage) = (&facts.sizes, facts.usage);
    let size = match (source, fact) {
        (MeminfoSource::HugePagesTotal, _) => return Amount::Count(facts.huge.total),
        (MeminfoSource::HugePagesFree, _) => return Amount::Count(facts.huge.free),
        (_, Amount::Count(_)) => return Amount::Count(0),
        (MeminfoSource::Fact, fact) => return fact,
        (MeminfoSource::Total, _) => sizes.total,
        (MeminfoSource::Free, _) => sizes.free,
        (MeminfoSource::Available, _) => sizes.available,
        (MeminfoSource::SwapTotal, _) => sizes.swap_total,
        (MeminfoSource::SwapFree, _) => sizes.swap_free,
        (MeminfoSource::CommitLimit, _) => commit_limit(sizes, facts.host),
        (MeminfoSource::CommittedAs, _) => {
            let swapped = sizes.swap_total.less(sizes.swap_free);
            usage.anon.plus(usage.shmem).plus(swapped)
        }
        (MeminfoSource::Hugetlb, _) => Bytes(facts.huge.size.0.saturating_mul(facts.huge.total)),
        (MeminfoSource::Use(keys), _) => {
            let amounts = keys.iter().map(|key| usage.of(key));
            amounts.fold(Bytes::ZERO, Bytes::plus)
        }
        (MeminfoSource::Less(first, second), _) => usage.of(first).less(usage.of(second)),
        (MeminfoSource::Nothing, _) => Bytes::ZERO,
    };
    Amount::Size(size)
}

// mm/util.c, vm_commit_limit: a share of memory (vm.overcommit_ratio) plus all swap.
fn commit_limit(sizes: &Sizes, host: &host::Meminfo) -> Bytes {
    let machine = host.size("CommitLimit").less(host.size("SwapTotal"));
    let share = u128::from(sizes.total.0) * u128::from(machine.0)
        / u128::from(host.size("MemTotal").0.max(1));
    Bytes(u64::try_from(share).unwrap_or(u64::MAX)).plus(sizes.swap_total)
}

/// `/proc/swaps` of a container: one device for all swap that the container may use, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swaps {
    /// Sizes of the device; `None` where the container may not swap.
    pub device: Option<Sizes>,
}

/// Returns `/proc/swaps`, with the sizes of `/proc/meminfo`.
#[must_use]
pub fn swaps(memory: &Memory, host: &host::Meminfo) -> Swaps {
    let sizes = sizes(memory, host);
    Swaps {
        device: (sizes.swap_total > Bytes::ZERO).then_some(sizes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{
        cgroup::{MemoryLevel, SwapLevel},
        host::parse,
    };

    fn machine() -> host::Meminfo {
        parse::meminfo(
            "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 800 kB\nCached: 300 kB\n\
             SwapTotal: 400 kB\nSwapFree: 300 kB\nCommitLimit: 900 kB\nHugePages_Total: 7\n\
             Hugepagesize: 2048 kB\nFuture: 12 kB\n",
        )
    }

    fn level(max: u64, current: u64, reclaimable: u64) -> MemoryLevel {
        MemoryLevel {
            steps: 0,
            max: Limit::At(Bytes::from_kib(max)),
            current: Bytes::from_kib(current),
            reclaimable: Bytes::from_kib(reclaimable),
            swap: None,
        }
    }

    fn under(levels: Vec<MemoryLevel>) -> Memory {
        Memory {
            levels,
            usage: MemoryUse::default(),
        }
    }

    #[test]
    fn a_limit_is_the_total_and_what_is_left_of_it_is_free() {
        let sizes = sizes(&under(vec![level(100, 60, 20)]), &machine());
        assert_eq!(sizes.total, Bytes::from_kib(100));
        assert_eq!(sizes.free, Bytes::from_kib(40));
        assert_eq!(sizes.available, Bytes::from_kib(60));
    }

    #[test]
    fn a_hungry_sibling_under_one_parent_leaves_less_free() {
        let sizes = sizes(
            &under(vec![level(100, 10, 0), level(150, 140, 5)]),
            &machine(),
        );
        assert_eq!(sizes.total, Bytes::from_kib(100));
        assert_eq!(sizes.free, Bytes::from_kib(10));
        assert_eq!(sizes.available, Bytes::from_kib(15));
    }

    #[test]
    fn use_beyond_a_lowered_limit_leaves_nothing_free() {
        let sizes = sizes(&under(vec![level(50, 60, 0)]), &machine());
        assert_eq!((sizes.free, sizes.available), (Bytes::ZERO, Bytes::ZERO));
    }

    #[test]
    fn without_a_limit_the_machine_is_what_can_be_had() {
        let sizes = sizes(&under(Vec::new()), &machine());
        assert_eq!(sizes.total, Bytes::from_kib(1000));
        assert_eq!(sizes.available, Bytes::from_kib(800));
    }

    #[test]
    fn free_and_cached_do_not_count_a_page_twice() {
        let mut memory = under(Vec::new());
        memory.usage.inactive_file = Bytes::from_kib(300);
        assert_eq!(sizes(&memory, &machine()).free, Bytes::from_kib(500));
    }

    #[test]
    fn swap_is_limited_by_every_level_and_by_the_machine() {
        let swap = |max: u64, current: u64| {
            Some(SwapLevel {
                max: SwapLimit::Alone(Limit::At(Bytes::from_kib(max))),
                current: Bytes::from_kib(current),
            })
        };
        let mut memory = under(vec![level(100, 0, 0), level(100, 0, 0)]);
        memory.levels[0].swap = swap(200, 50);
        memory.levels[1].swap = swap(100, 90);
        let sizes = sizes(&memory, &machine());
        assert_eq!(sizes.swap_total, Bytes::from_kib(100));
        assert_eq!(sizes.swap_free, Bytes::from_kib(10));
    }

    #[test]
    fn what_memsw_leaves_beside_memory_is_swap_whatever_the_parents_have() {
        let swap = |both: u64, current: u64| {
            Some(SwapLevel {
                max: SwapLimit::WithMemory(Limit::At(Bytes::from_kib(both))),
                current: Bytes::from_kib(current),
            })
        };
        let mut memory = under(vec![level(256, 200, 0), level(400, 0, 0)]);
        memory.levels[0].swap = swap(320, 10);
        memory.levels[1].swap = swap(400, 90);
        let sizes = sizes(&memory, &machine());
        assert_eq!(sizes.swap_total, Bytes::from_kib(64));
        assert_eq!(sizes.swap_free, Bytes::from_kib(54));
    }

    #[test]
    fn a_container_that_may_not_swap_has_no_swap_device() {
        let mut memory = under(vec![level(100, 0, 0)]);
        memory.levels[0].swap = Some(SwapLevel {
            max: SwapLimit::Alone(Limit::At(Bytes::ZERO)),
            current: Bytes::ZERO,
        });
        assert_eq!(swaps(&memory, &machine()).device, None);
    }

    #[test]
    fn a_line_that_nobody_knows_shows_nothing_of_the_machine() {
        let view = meminfo(&under(Vec::new()), &[], &machine());
        let amount = |name: &str| {
            view.lines
                .iter()
                .find(|line| line.name == name)
                .unwrap()
                .amount
        };
        assert_eq!(amount("Future"), Amount::Size(Bytes::ZERO));
        assert_eq!(amount("Cached"), Amount::Size(Bytes::ZERO));
        assert_eq!(amount("Hugepagesize"), Amount::Size(Bytes::from_mib(2)));
    }

    #[test]
    fn huge_pages_are_the_machines_as_far_as_every_limit_allows() {
        let host = parse::meminfo(
            "HugePages_Total: 100\nHugePages_Free: 60\nHugePages_Rsvd: 5\nHugepagesize: 2048 kB\n\
             Hugetlb: 204800 kB\n",
        );
        let level = |max: u64, current: u64| HugetlbLevel {
            max: Limit::At(Bytes::from_mib(max)),
            current: Bytes::from_mib(current),
        };
        let values = |levels: &[HugetlbLevel]| -> Vec<Amount> {
            let view = meminfo(&under(Vec::new()), levels, &host);
            view.lines.iter().map(|line| line.amount).collect()
        };
        let limited = values(&[level(40, 4), level(64, 60)]);
        assert_eq!(limited[..2], [Amount::Count(20), Amount::Count(2)]);
        assert_eq!(limited[2], Amount::Count(0));
        assert_eq!(limited[4], Amount::Size(Bytes::from_mib(40)));
        assert_eq!(values(&[])[..2], [Amount::Count(100), Amount::Count(60)]);
    }

    #[test]
    fn the_commit_limit_keeps_the_machines_ratio() {
        let view = meminfo(&under(vec![level(100, 0, 0)]), &[], &machine());
        let limit = view
            .lines
            .iter()
            .find(|line| line.name == "CommitLimit")
            .unwrap();
        assert_eq!(limit.amount, Amount::Size(Bytes::from_kib(50 + 400)));
    }
}
