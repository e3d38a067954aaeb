//! Pure. The memory that a container sees: a machine with the size of the container's limits, on
//! which only the container uses memory.
//!
//! | line | meaning |
//! |---|---|
//! | `MemTotal` | the lowest of the machine's memory and every `memory.max` from the container up; where none is lower than the machine's memory, the lowest `memory.high` |
//! | `MemFree` | the lowest, over the same levels, of limit less use; for the machine: its `MemAvailable` less the container's own cache, so that free and cached never count the same page twice. Never more than `MemTotal` leaves beside the container's cache and huge pages |
//! | `MemAvailable` | the lowest, over the same levels, of limit less use plus reclaimable memory; for the machine: its own `MemAvailable` |
//! | every size | rounded down to whole pages, as the kernel counts a machine's memory |
//! | limit | the lower of `memory.max` and `memory.high`: the kernel throttles a cgroup above `memory.high`. `memory.soft_limit_in_bytes` of v1 is no limit: nobody waits above it |
//! | `SwapTotal` | the lowest of the machine's swap and every swap limit; on v1, where limits hold for memory and swap together, the lowest of them less `MemTotal`; the swap in use, where the kernel swaps no more of the container |
//! | `SwapFree` | `SwapTotal` less the container's own swap, at most the free swap of every level (also below `memory.swap.high`) and of the machine |
//! | use (`AnonPages`, `Mapped`, `Slab`, ...) | `memory.stat` of the container's own cgroup; in whole pages, because a cgroup counts slab, per-CPU memory and zswap in bytes and a machine in pages; a sum adds the pages of its parts, so that it is the sum of the lines of the parts |
//! | `Cached`, `SwapCached` | file pages; pages in the swap cache, at most the swap in use |
//! | `Zswapped` | pages in zswap, which are part of the swap in use |
//! | `Shmem` | shared memory, at most `Cached`, which includes it |
//! | `CommitLimit` | the kernel's formula with the machine's ratio and the container's sizes |
//! | `Committed_AS` | anonymous and shared memory and swap in use, for no cgroup counts commitments |
//! | `HugePages_Total`, `HugePages_Free`, `HugePages_Rsvd` | see [`hugetlb`] |
//! | `Hugetlb` | `HugePages_Total` as a size |
//! | `Hugepagesize`, `VmallocTotal`, `DirectMap*` | facts of the machine |
//! | `Buffers` | 0: a cgroup counts the pages of block devices as file pages, in `Cached` |
//! | `Mlocked` | 0: a cgroup counts locked pages with all unevictable ones, in `Unevictable` |
//! | `Slab`, `KernelStack`, `PageTables`, `Percpu`, ... on v1 | 0: v1 counts kernel memory as one sum, which only `MemFree` and `MemAvailable` contain |
//! | `HugePages_Surp` | 0: the pages of the container are taken for permanent ones |
//! | `ShmemPmdMapped`, `FilePmdMapped`, `Balloon`, `NFS_Unstable`, `Bounce`, `WritebackTmp`, `HardwareCorrupted`, `Unaccepted`, `Cma*` | 0: no cgroup counts them |
//! | all other lines, and lines of future kernels | 0: nothing is known of them |

mod bounds;
mod source;

pub use crate::facts::host::{Amount, MeminfoLine};
pub use bounds::{CounterBounds, bounds};
pub use source::MeminfoSource;

use super::hugetlb::{self, HugePages};
use crate::{
    base::units::{Bytes, Limit},
    facts::{
        cgroup::{HugetlbLevel, Memory, MemoryLevel, MemoryUse, SwapLimit},
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

impl Sizes {
    /// Returns the swap in use.
    #[must_use]
    pub fn swapped(&self) -> Bytes {
        self.swap_total.less(self.swap_free)
    }

    /// Returns the pages in the swap cache: each has a place in the swap. A cgroup counts none of them as
    /// `file`: the kernel adds them to `NR_FILE_PAGES` of the node only (`add_to_swap_cache` in
    /// `mm/swap_state.c`).
    #[must_use]
    pub fn swap_cached(&self, usage: &MemoryUse) -> Bytes {
        usage.swapcached.min(self.swapped())
    }
}

/// Returns the sizes of a container from the facts of its cgroups and of the machine.
#[must_use]
pub fn sizes(memory: &Memory, hugetlb: &[HugetlbLevel], host: &host::Meminfo) -> Sizes {
    let decided = decided(memory, host);
    let total = decided.total.amount;
    let pages = huge_pages(hugetlb, total, host).bytes();
    Sizes {
        total,
        free: host
            .whole_pages((decided.free.amount).min(total.less(cache(&memory.usage)).less(pages))),
        available: decided.available.amount,
        swap_total: decided.swap_total.amount,
        swap_free: decided.swap_free.amount,
    }
}

// Programs take these parts of MemTotal and MemFree away from MemTotal, some without a sign.
fn cache(usage: &MemoryUse) -> Bytes {
    usage.file.plus(usage.slab_reclaimable)
}

/// Returns the sizes of a container, each with the level that decided about it.
#[must_use]
pub fn decided(memory: &Memory, host: &host::Meminfo) -> DecidedSizes {
    let host_available = host.size("MemAvailable");
    let total = total(memory, host);
    let mut free = Lowest::machine(host_available.less(memory.usage.reclaimable()));
    let mut available = Lowest::machine(host_available);
    for level in &memory.levels {
        if let Limit::At(limit) = level.max.stricter(level.high) {
            // Reclaimable memory is part of the use, but the kernel reads the two at two moments.
            let kept = level.current.less(level.reclaimable);
            free = free.or(limit.less(level.current), level.steps);
            available = available.or(limit.less(kept), level.steps);
        }
    }
    let available = available.at_most(total.amount);
    let (swap_total, swap_free) = swap(memory, total.amount, host);
    let in_pages = |lowest: Lowest| lowest.at_most(host.whole_pages(lowest.amount));
    DecidedSizes {
        total: in_pages(total),
        free: in_pages(free.at_most(available.amount)),
        available: in_pages(available),
        swap_total: in_pages(swap_total),
        swap_free: in_pages(swap_free),
    }
}

/// Returns the memory in use that the kernel cannot take back: `MemTotal` less `MemAvailable`, where a
/// limit decides about `MemAvailable`; else that of the container's own cgroup, for the machine's memory
/// has other users. `None` for a container whose memory no controller counts.
#[must_use]
pub fn used(memory: &Memory, host: &host::Meminfo) -> Option<Bytes> {
    let own = memory.levels.first()?;
    let decided = decided(memory, host);
    Some(match decided.available.steps {
        Some(_) => decided.total.amount.less(decided.available.amount),
        None => own.current.less(own.reclaimable),
    })
}

fn total(memory: &Memory, host: &host::Meminfo) -> Lowest {
    let lowest = |limit: fn(&MemoryLevel) -> Limit<Bytes>| {
        let machine = Lowest::machine(host.size("MemTotal"));
        memory.levels.iter().fold(machine, |lowest, level| {
            let limit = limit(level).value();
            limit.map_or(lowest, |limit| lowest.or(limit, level.steps))
        })
    };
    let max = lowest(|level| level.max);
    match max.steps {
        Some(_) => max,
        None => lowest(|level| level.high),
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
        if let Limit::At(high) = swap.high {
            free = free.or(high.less(swap.current), level.steps);
        }
    }
    let own = memory.levels.first();
    let used = own
        .and_then(|own| own.swap)
        .map_or(Bytes::ZERO, |swap| swap.current);
    if memory.is_unswappable {
        let steps = own.map_or(0, |own| own.steps);
        total = total.or(used, steps);
    }
    (total, free.at_most(total.amount.less(used)))
}

/// Returns the huge pages of the machine's default size in `/proc/meminfo` of a container with that
/// `MemTotal`.
#[must_use]
pub fn huge_pages(levels: &[HugetlbLevel], total: Bytes, host: &host::Meminfo) -> HugePages {
    let pool = HugePages {
        total: host.count("HugePages_Total"),
        free: host.count("HugePages_Free"),
        reserved: 0,
        size: host.size("Hugepagesize"),
    };
    let is_limited = total < host.size("MemTotal");
    hugetlb::shown(levels, pool, is_limited.then_some(total))
}

/// Facts that the lines are made from.
struct MeminfoFacts<'a> {
    sizes: Sizes,
    huge: HugePages,
    usage: &'a MemoryUse,
    host: &'a host::Meminfo,
    /// File pages; a cgroup does not count those of the swap cache among them.
    cached: Bytes,
    /// Pages of the swap cache.
    swap_cached: Bytes,
}

/// Returns `/proc/meminfo` of a container.
#[must_use]
pub fn meminfo(memory: &Memory, hugetlb: &[HugetlbLevel], host: &host::Meminfo) -> Meminfo {
    let sizes = sizes(memory, hugetlb, host);
    let usage = &memory.usage;
    let swap_cached = host.whole_pages(sizes.swap_cached(usage));
    let facts = MeminfoFacts {
        huge: huge_pages(hugetlb, sizes.total, host),
        sizes,
        usage,
        host,
        cached: host.whole_pages(usage.file),
        swap_cached,
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
    let whole = |size: Bytes| facts.host.whole_pages(size);
    let size = match (source, fact) {
        (MeminfoSource::HugePagesTotal, _) => return Amount::Count(facts.huge.total),
        (MeminfoSource::HugePagesFree, _) => return Amount::Count(facts.huge.free),
        (MeminfoSource::HugePagesRsvd, _) => return Amount::Count(facts.huge.reserved),
        (_, Amount::Count(_)) => return Amount::Count(0),
        (MeminfoSource::Fact, fact) => return fact,
        (MeminfoSource::Total, _) => sizes.total,
        (MeminfoSource::Free, _) => sizes.free,
        (MeminfoSource::Available, _) => sizes.available,
        (MeminfoSource::SwapTotal, _) => sizes.swap_total,
        (MeminfoSource::SwapFree, _) => sizes.swap_free,
        (MeminfoSource::CommitLimit, _) => commit_limit(sizes, facts.host),
        (MeminfoSource::CommittedAs, _) => {
            whole(usage.anon.plus(usage.shmem).plus(sizes.swapped()))
        }
        (MeminfoSource::Hugetlb, _) => facts.huge.bytes(),
        (MeminfoSource::Cached, _) => facts.cached,
        (MeminfoSource::SwapCached, _) => facts.swap_cached,
        (MeminfoSource::Zswapped, _) => whole(usage.zswapped.min(sizes.swapped())),
        (MeminfoSource::Shmem, _) => whole(usage.shmem).min(facts.cached),
        // fs/proc/meminfo.c prints these in KiB: a stack can be smaller than a page.
        (MeminfoSource::Use(&["kernel_stack"]), _) => usage.kernel_stack,
        (MeminfoSource::Use(keys), _) => {
            let pages = keys.iter().map(|key| whole(usage.of(key)));
            pages.fold(Bytes::ZERO, Bytes::plus)
        }
        (MeminfoSource::Nothing, _) => Bytes::ZERO,
    };
    Amount::Size(size)
}

/// The size of a page where it is not known: the smallest one.
const PAGE: Bytes = Bytes(4096);

// mm/util.c, vm_commit_limit: a share of memory (vm.overcommit_ratio) plus all swap, in whole pages. The
// machine's own limit is rounded down to pages, so the nearest page is the container's.
fn commit_limit(sizes: &Sizes, host: &host::Meminfo) -> Bytes {
    let machine = host.size("CommitLimit").less(host.size("SwapTotal"));
    let share = u128::from(sizes.total.0) * u128::from(machine.0)
        / u128::from(host.size("MemTotal").0.max(1));
    let share = u64::try_from(share).unwrap_or(u64::MAX);
    let page = host.page.max(PAGE).0;
    let pages = share.saturating_add(page / 2) / page;
    Bytes(pages.saturating_mul(page)).plus(sizes.swap_total)
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
    let sizes = sizes(memory, &[], host);
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
             SwapTotal: 400 kB\nSwapFree: 300 kB\nCommitLimit: 900 kB\nHugePages_Total: 0\n\
             Hugepagesize: 2048 kB\nFuture: 12 kB\n",
        )
    }

    fn level(max: u64, current: u64, reclaimable: u64) -> MemoryLevel {
        MemoryLevel {
            steps: 0,
            max: Limit::At(Bytes::from_kib(max)),
            high: Limit::Unlimited,
            current: Bytes::from_kib(current),
            reclaimable: Bytes::from_kib(reclaimable),
            swap: None,
        }
    }

    fn under(levels: Vec<MemoryLevel>) -> Memory {
        Memory {
            levels,
            ..Memory::default()
        }
    }

    fn sizes(memory: &Memory, host: &host::Meminfo) -> Sizes {
        super::sizes(memory, &[], host)
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
    fn memory_in_use_is_what_the_deciding_limit_leaves_or_else_the_containers_own() {
        let host = host::parse::meminfo("MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
        let level = |steps, max, current| MemoryLevel {
            steps,
            max,
            current: Bytes::from_kib(current),
            reclaimable: Bytes(40 << 10),
            ..MemoryLevel::default()
        };
        let limit = Limit::At(Bytes(400 << 10));
        for (levels, expected) in [
            (vec![level(0, limit, 100)], Some(60)),
            (vec![level(0, limit, 100), level(1, limit, 140)], Some(100)),
            (vec![level(0, Limit::Unlimited, 100)], Some(60)),
            (vec![], None),
        ] {
            let memory = Memory {
                levels,
                ..Memory::default()
            };
            let used = used(&memory, &host);
            assert_eq!(used.map(Bytes::kib), expected);
        }
    }

    #[test]
    fn swap_is_limited_by_every_level_and_by_the_machine() {
        let swap = |max: u64, current: u64| {
            Some(SwapLevel {
                max: SwapLimit::Alone(Limit::At(Bytes::from_kib(max))),
                high: Limit::Unlimited,
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
                high: Limit::Unlimited,
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
            high: Limit::Unlimited,
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
    fn above_memory_high_nothing_is_available_and_below_it_what_is_left() {
        let throttled = |current: u64| {
            let mut memory = under(vec![level(400, current, 20), level(900, current, 20)]);
            memory.levels[0].high = Limit::At(Bytes::from_kib(200));
            sizes(&memory, &machine())
        };
        let below = throttled(150);
        assert_eq!(below.total, Bytes::from_kib(400));
        assert_eq!(below.free, Bytes::from_kib(50));
        assert_eq!(below.available, Bytes::from_kib(70));
        let above = throttled(210);
        assert_eq!(above.free, Bytes::ZERO);
        assert_eq!(above.available, Bytes::from_kib(10));
    }

    #[test]
    fn memory_high_of_an_ancestor_binds_too() {
        let mut memory = under(vec![level(400, 10, 0), level(900, 250, 0)]);
        memory.levels[1].high = Limit::At(Bytes::from_kib(300));
        assert_eq!(sizes(&memory, &machine()).available, Bytes::from_kib(50));
    }

    #[test]
    fn without_a_max_below_the_machines_memory_the_lowest_high_is_the_total() {
        let mut memory = under(vec![level(5000, 10, 0), level(5000, 20, 0)]);
        memory.levels[0].max = Limit::Unlimited;
        memory.levels[0].high = Limit::At(Bytes::from_kib(300));
        memory.levels[1].high = Limit::At(Bytes::from_kib(200));
        let sizes = sizes(&memory, &machine());
        assert_eq!(sizes.total, Bytes::from_kib(200));
        assert_eq!(sizes.available, Bytes::from_kib(180));
    }

    #[test]
    fn a_container_that_the_kernel_does_not_swap_has_no_more_swap_than_it_uses() {
        let unswappable = |used: u64| {
            let mut memory = under(vec![level(100, 0, 0)]);
            memory.is_unswappable = true;
            memory.levels[0].swap = Some(SwapLevel {
                max: SwapLimit::WithMemory(Limit::At(Bytes::from_kib(300))),
                high: Limit::Unlimited,
                current: Bytes::from_kib(used),
            });
            let sizes = sizes(&memory, &machine());
            (sizes.swap_total.kib(), sizes.swap_free.kib())
        };
        assert_eq!(unswappable(0), (0, 0));
        assert_eq!(unswappable(30), (30, 0));
    }

    #[test]
    fn swap_above_memory_swap_high_is_not_free() {
        let mut memory = under(vec![level(100, 0, 0)]);
        memory.levels[0].swap = Some(SwapLevel {
            max: SwapLimit::Alone(Limit::At(Bytes::from_kib(200))),
            high: Limit::At(Bytes::from_kib(80)),
            current: Bytes::from_kib(50),
        });
        let sizes = sizes(&memory, &machine());
        assert_eq!(sizes.swap_total, Bytes::from_kib(200));
        assert_eq!(sizes.swap_free, Bytes::from_kib(30));
    }

    fn kib(view: &Meminfo, name: &str) -> u64 {
        let line = view.lines.iter().find(|line| line.name == name).unwrap();
        match line.amount {
            Amount::Size(size) => size.kib(),
            Amount::Count(count) => count,
        }
    }

    #[test]
    fn slab_is_the_sum_of_its_two_lines() {
        let mut memory = under(Vec::new());
        memory.usage.slab_reclaimable = Bytes(4096 + 3000);
        memory.usage.slab_unreclaimable = Bytes(5 * 4096 + 3000);
        let mut host = parse::meminfo("Slab: 9 kB\nSReclaimable: 9 kB\nSUnreclaim: 9 kB\n");
        host.page = Bytes(4096);
        let view = meminfo(&memory, &[], &host);
        let parts = ["Slab", "SReclaimable", "SUnreclaim"].map(|name| kib(&view, name));
        assert_eq!(parts, [24, 4, 20]);
    }

    #[test]
    fn a_size_is_a_number_of_whole_pages_and_a_stack_can_be_smaller() {
        let mut memory = under(vec![level(100, 61, 21)]);
        memory.usage.file = Bytes::from_kib(10);
        memory.usage.kernel_stack = Bytes::from_kib(9);
        memory.usage.percpu = Bytes(9000);
        let text = "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 800 kB\nCached: 9 kB\n\
             KernelStack: 9 kB\nPercpu: 9 kB\n";
        let mut host = parse::meminfo(text);
        host.page = Bytes::from_kib(4);
        let view = meminfo(&memory, &[], &host);
        let names = ["MemFree", "MemAvailable", "Cached", "Percpu", "KernelStack"];
        assert_eq!(names.map(|name| kib(&view, name)), [36, 60, 8, 8, 9]);
    }

    #[test]
    fn htop_finds_no_more_swap_cached_than_swap_used() {
        let mut memory = under(Vec::new());
        memory.usage.file = Bytes::from_kib(90);
        memory.usage.swapcached = Bytes::from_kib(70);
        let host = parse::meminfo(
            "MemTotal: 1000 kB\nCached: 9 kB\nSwapCached: 9 kB\nSwapTotal: 40 kB\nSwapFree: 10 kB\n",
        );
        let view = meminfo(&memory, &[], &host);
        assert_eq!((kib(&view, "SwapCached"), kib(&view, "Cached")), (30, 90));
    }

    #[test]
    fn a_pool_of_the_machine_is_no_part_of_a_small_containers_memory() {
        let host = parse::meminfo(
            "MemTotal: 2982844 kB\nMemFree: 2361732 kB\nMemAvailable: 2457144 kB\n\
             HugePages_Total: 512\nHugePages_Free: 512\nHugePages_Rsvd: 5\n\
             Hugepagesize: 2048 kB\nHugetlb: 1048576 kB\n",
        );
        let small = under(vec![level(256 << 10, 100 << 10, 0)]);
        let view = meminfo(&small, &[], &host);
        let names = [
            "HugePages_Total",
            "HugePages_Free",
            "HugePages_Rsvd",
            "Hugetlb",
        ];
        assert_eq!(names.map(|name| kib(&view, name)), [0, 0, 0, 0]);
        let whole = meminfo(&under(Vec::new()), &[], &host);
        assert_eq!(names.map(|name| kib(&whole, name)), [512, 512, 0, 1 << 20]);
    }

    #[test]
    fn huge_pages_that_a_limit_grants_are_taken_from_the_free_memory() {
        let host = parse::meminfo(
            "MemTotal: 2982844 kB\nMemFree: 2361732 kB\nMemAvailable: 2457144 kB\n\
             HugePages_Total: 512\nHugePages_Free: 512\nHugepagesize: 2048 kB\nHugetlb: 1048576 kB\n",
        );
        let granted = HugetlbLevel {
            max: Limit::At(Bytes::from_mib(200)),
            ..HugetlbLevel::default()
        };
        let small = under(vec![level(256 << 10, 100 << 10, 0)]);
        let view = meminfo(&small, &[granted], &host);
        assert_eq!(kib(&view, "HugePages_Total"), 100);
        assert_eq!(kib(&view, "MemFree"), 56 << 10);
        assert_eq!(kib(&view, "MemAvailable"), 156 << 10);
    }

    #[test]
    fn the_commit_limit_keeps_the_machines_ratio() {
        let view = meminfo(&under(vec![level(104, 0, 0)]), &[], &machine());
        let limit = view
            .lines
            .iter()
            .find(|line| line.name == "CommitLimit")
            .unwrap();
        assert_eq!(limit.amount, Amount::Size(Bytes::from_kib(52 + 400)));
    }

    #[test]
    fn the_commit_limit_is_a_number_of_pages() {
        let host = "MemTotal: 24684092 kB\nSwapTotal: 0 kB\nCommitLimit: 12342044 kB\n";
        let host = parse::meminfo(host);
        for (max, expected) in [
            (200 << 10, 100 << 10),
            (100 << 10, 50 << 10),
            (1 << 20, 1 << 19),
            (7777 << 10, 3_981_824),
        ] {
            let sizes = Sizes {
                total: Bytes::from_kib(max),
                ..Sizes::default()
            };
            assert_eq!(commit_limit(&sizes, &host), Bytes::from_kib(expected));
        }
    }
}
