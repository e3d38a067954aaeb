//! Pure. Where the amount in each line of `/proc/meminfo` comes from.

use super::{Amount, MeminfoFacts, commit_limit};
use crate::base::units::Bytes;

/// Where the amount in a line of `/proc/meminfo` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the lines")]
pub enum MeminfoSource {
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

impl MeminfoSource {
    /// The source of the line with that name.
    #[must_use]
    pub fn of(name: &str) -> MeminfoSource {
        match name {
            "MemTotal" => MeminfoSource::Total,
            "MemFree" => MeminfoSource::Free,
            "MemAvailable" => MeminfoSource::Available,
            "SwapTotal" => MeminfoSource::SwapTotal,
            "SwapFree" => MeminfoSource::SwapFree,
            "CommitLimit" => MeminfoSource::CommitLimit,
            "Committed_AS" => MeminfoSource::CommittedAs,
            "HugePages_Total" => MeminfoSource::HugePagesTotal,
            "HugePages_Free" => MeminfoSource::HugePagesFree,
            "Hugetlb" => MeminfoSource::Hugetlb,
            "Hugepagesize" | "VmallocTotal" => MeminfoSource::Fact,
            name if name.starts_with("DirectMap") => MeminfoSource::Fact,
            name => MeminfoSource::of_use(name),
        }
    }

    fn of_use(name: &str) -> MeminfoSource {
        MeminfoSource::Use(match name {
            // fs/proc/meminfo.c: file pages less those of the swap cache.
            "Cached" => return MeminfoSource::Less("file", "swapcached"),
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
            _ => return MeminfoSource::Nothing,
        })
    }

    /// What is computed, in words.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            MeminfoSource::Total => {
                "the lowest of the machine's memory and every limit from the container up"
            }
            MeminfoSource::Free => {
                "the lowest of limit - use at every level; the machine: MemAvailable - the container's own cache"
            }
            MeminfoSource::Available => {
                "the lowest of limit - use + reclaimable at every level; the machine: MemAvailable"
            }
            MeminfoSource::SwapTotal => {
                "the lowest of the machine's swap and every swap limit (v1: memory and swap - MemTotal)"
            }
            MeminfoSource::SwapFree => {
                "SwapTotal - own swap in use, no more than any level or the machine has left"
            }
            MeminfoSource::CommitLimit => {
                "the machine's (CommitLimit - SwapTotal) x MemTotal / its MemTotal + SwapTotal"
            }
            MeminfoSource::CommittedAs => "anon + shmem + SwapTotal - SwapFree",
            MeminfoSource::HugePagesTotal => "the machine's pool, no more than any hugetlb limit",
            MeminfoSource::HugePagesFree => {
                "the machine's free pages, no more than any hugetlb limit - use"
            }
            MeminfoSource::Hugetlb => "HugePages_Total x Hugepagesize",
            MeminfoSource::Fact => "a fact of the machine",
            MeminfoSource::Use(_) => "the container's own use",
            MeminfoSource::Less(..) => "the first less the second",
            MeminfoSource::Nothing => "0: nobody counts it by cgroup",
        }
    }

    /// The amount in such a line, where the machine's says `fact`.
    pub(super) fn amount(self, fact: Amount, facts: &MeminfoFacts<'_>) -> Amount {
        let (sizes, usage) = (&facts.sizes, facts.usage);
        let size = match (self, fact) {
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
            (MeminfoSource::Hugetlb, _) => {
                Bytes(facts.huge.size.0.saturating_mul(facts.huge.total))
            }
            (MeminfoSource::Use(keys), _) => {
                let amounts = keys.iter().map(|key| usage.of(key));
                amounts.fold(Bytes::ZERO, Bytes::plus)
            }
            (MeminfoSource::Less(first, second), _) => usage.of(first).less(usage.of(second)),
            (MeminfoSource::Nothing, _) => Bytes::ZERO,
        };
        Amount::Size(size)
    }
}
