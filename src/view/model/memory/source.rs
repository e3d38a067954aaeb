//! Pure. Where the amount in each line of `/proc/meminfo` comes from.

use super::{Amount, Facts, commit_limit};
use crate::base::units::Bytes;

/// Where the amount in a line of `/proc/meminfo` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the lines")]
pub enum Source {
    Total,
    Free,
    Available,
    SwapTotal,
    SwapFree,
    CommitLimit,
    CommittedAs,
    HugePagesTotal,
    HugePagesFree,
    Hugetlb,
    /// A fact of the machine.
    Fact,
    /// What the container uses: the sum of these keys of `memory.stat` (by their names in v2).
    Use(&'static [&'static str]),
    /// The first key less the second.
    Less(&'static str, &'static str),
    /// Nobody counts it by cgroup.
    Nothing,
}

impl Source {
    /// The source of the line with that name.
    #[must_use]
    pub fn of(name: &str) -> Source {
        match name {
            "MemTotal" => Source::Total,
            "MemFree" => Source::Free,
            "MemAvailable" => Source::Available,
            "SwapTotal" => Source::SwapTotal,
            "SwapFree" => Source::SwapFree,
            "CommitLimit" => Source::CommitLimit,
            "Committed_AS" => Source::CommittedAs,
            "HugePages_Total" => Source::HugePagesTotal,
            "HugePages_Free" => Source::HugePagesFree,
            "Hugetlb" => Source::Hugetlb,
            "Hugepagesize" | "VmallocTotal" => Source::Fact,
            name if name.starts_with("DirectMap") => Source::Fact,
            name => Source::of_use(name),
        }
    }

    fn of_use(name: &str) -> Source {
        Source::Use(match name {
            // fs/proc/meminfo.c: file pages less those of the swap cache.
            "Cached" => return Source::Less("file", "swapcached"),
            "SwapCached" => &["swapcached"],
            "Active" => &["active_anon", "active_file"],
            "Inactive" => &["inactive_anon", "inactive_file"],
            "Active(anon)" => &["active_anon"],
            "Inactive(anon)" => &["inactive_anon"],
            "Active(file)" => &["active_file"],
            "Inactive(file)" => &["inactive_file"],
            "Unevictable" => &["unevictable"],
            "Zswap" => &["zswap"],
            "Zswapped" => &["zswapped"],
            "Dirty" => &["file_dirty"],
            "Writeback" => &["file_writeback"],
            "AnonPages" => &["anon"],
            "Mapped" => &["file_mapped"],
            "Shmem" => &["shmem"],
            "KReclaimable" | "SReclaimable" => &["slab_reclaimable"],
            "Slab" => &["slab_reclaimable", "slab_unreclaimable"],
            "SUnreclaim" => &["slab_unreclaimable"],
            "KernelStack" => &["kernel_stack"],
            "PageTables" => &["pagetables"],
            "SecPageTables" => &["sec_pagetables"],
            "VmallocUsed" => &["vmalloc"],
            "Percpu" => &["percpu"],
            "AnonHugePages" => &["anon_thp"],
            "ShmemHugePages" => &["shmem_thp"],
            "FileHugePages" => &["file_thp"],
            _ => return Source::Nothing,
        })
    }

    /// What is computed, in words.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            Source::Total => {
                "the lowest of the machine's memory and every limit from the container up"
            }
            Source::Free => {
                "the lowest of limit - use at every level; the machine: MemAvailable - the container's own cache"
            }
            Source::Available => {
                "the lowest of limit - use + reclaimable at every level; the machine: MemAvailable"
            }
            Source::SwapTotal => {
                "the lowest of the machine's swap and every swap limit (v1: memory and swap - MemTotal)"
            }
            Source::SwapFree => {
                "SwapTotal - own swap in use, no more than any level or the machine has left"
            }
            Source::CommitLimit => {
                "the machine's (CommitLimit - SwapTotal) x MemTotal / its MemTotal + SwapTotal"
            }
            Source::CommittedAs => "anon + shmem + SwapTotal - SwapFree",
            Source::HugePagesTotal => "the machine's pool, no more than any hugetlb limit",
            Source::HugePagesFree => {
                "the machine's free pages, no more than any hugetlb limit - use"
            }
            Source::Hugetlb => "HugePages_Total x Hugepagesize",
            Source::Fact => "a fact of the machine",
            Source::Use(_) => "the container's own use",
            Source::Less(..) => "the first less the second",
            Source::Nothing => "0: nobody counts it by cgroup",
        }
    }

    /// The amount in such a line, where the machine's says `fact`.
    pub(super) fn amount(self, fact: Amount, facts: &Facts<'_>) -> Amount {
        let (sizes, usage) = (&facts.sizes, facts.usage);
        let size = match (self, fact) {
            (Source::HugePagesTotal, _) => return Amount::Count(facts.huge.total),
            (Source::HugePagesFree, _) => return Amount::Count(facts.huge.free),
            (_, Amount::Count(_)) => return Amount::Count(0),
            (Source::Fact, fact) => return fact,
            (Source::Total, _) => sizes.total,
            (Source::Free, _) => sizes.free,
            (Source::Available, _) => sizes.available,
            (Source::SwapTotal, _) => sizes.swap_total,
            (Source::SwapFree, _) => sizes.swap_free,
            (Source::CommitLimit, _) => commit_limit(sizes, facts.host),
            (Source::CommittedAs, _) => {
                let swapped = sizes.swap_total.less(sizes.swap_free);
                usage.anon.plus(usage.shmem).plus(swapped)
            }
            (Source::Hugetlb, _) => Bytes(facts.huge.size.0.saturating_mul(facts.huge.total)),
            (Source::Use(keys), _) => {
                let amounts = keys.iter().map(|key| usage.of(key));
                amounts.fold(Bytes::ZERO, Bytes::plus)
            }
            (Source::Less(first, second), _) => usage.of(first).less(usage.of(second)),
            (Source::Nothing, _) => Bytes::ZERO,
        };
        Amount::Size(size)
    }
}
