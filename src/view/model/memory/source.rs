//! Pure. The source of the amount in each line of `/proc/meminfo`.

/// Source of the amount in a line of `/proc/meminfo`.
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
    HugePagesRsvd,
    Hugetlb,
    Cached,
    SwapCached,
    Zswapped,
    Shmem,
    /// The machine's own amount.
    Fact,
    /// Use of the container: the sum of these keys of `memory.stat` (by their names in v2).
    Use(&'static [&'static str]),
    /// Zero, for no cgroup counts it.
    Nothing,
}

impl MeminfoSource {
    /// Returns the source of the line with that name.
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
            "HugePages_Rsvd" => MeminfoSource::HugePagesRsvd,
            "Hugetlb" => MeminfoSource::Hugetlb,
            "Cached" => MeminfoSource::Cached,
            "SwapCached" => MeminfoSource::SwapCached,
            "Zswapped" => MeminfoSource::Zswapped,
            "Shmem" => MeminfoSource::Shmem,
            "Hugepagesize" | "VmallocTotal" => MeminfoSource::Fact,
            name if name.starts_with("DirectMap") => MeminfoSource::Fact,
            name => MeminfoSource::of_use(name),
        }
    }

    fn of_use(name: &str) -> MeminfoSource {
        MeminfoSource::Use(match name {
            "Active" => &["active_anon", "active_file"],
            "Inactive" => &["inactive_anon", "inactive_file"],
            "Active(anon)" => &["active_anon"],
            "Inactive(anon)" => &["inactive_anon"],
            "Active(file)" => &["active_file"],
            "Inactive(file)" => &["inactive_file"],
            "Unevictable" => &["unevictable"],
            "Zswap" => &["zswap"],
            "Dirty" => &["file_dirty"],
            "Writeback" => &["file_writeback"],
            "AnonPages" => &["anon"],
            "Mapped" => &["file_mapped"],
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

    /// Returns the keys of `memory.stat` that the source contains.
    #[must_use]
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            MeminfoSource::Use(keys) => keys,
            MeminfoSource::Cached => &["file"],
            MeminfoSource::SwapCached => &["swapcached"],
            MeminfoSource::Zswapped => &["zswapped"],
            MeminfoSource::Shmem => &["shmem"],
            MeminfoSource::CommittedAs => &["anon", "shmem"],
            _ => &[],
        }
    }

    /// Returns the formula in words, for `plimsoll show --explain`.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            MeminfoSource::Total => {
                "the lowest of the machine's memory and every limit of the container and its ancestors; without a limit, the lowest memory.high"
            }
            MeminfoSource::Free => {
                "the lowest of limit or memory.high - use at every level; on the machine: MemAvailable - the container's own cache; at most MemTotal - Hugetlb - file - reclaimable slab"
            }
            MeminfoSource::Available => {
                "the lowest of limit or memory.high - use + reclaimable at every level; on the machine: MemAvailable"
            }
            MeminfoSource::SwapTotal => {
                "the lowest of the machine's swap and every swap limit (v1: limit of memory and swap - MemTotal); the swap in use if the kernel swaps no more of the container"
            }
            MeminfoSource::SwapFree => {
                "SwapTotal - the container's swap in use, at most the free swap of every level and of the machine"
            }
            MeminfoSource::CommitLimit => {
                "the machine's (CommitLimit - SwapTotal) x MemTotal / the machine's MemTotal + SwapTotal"
            }
            MeminfoSource::CommittedAs => "anon + shmem + SwapTotal - SwapFree",
            MeminfoSource::HugePagesTotal => {
                "the machine's pool, at most every hugetlb limit and MemTotal; under a limit of memory only, the pages in use"
            }
            MeminfoSource::HugePagesFree => {
                "the machine's free pages, at most every hugetlb limit - use; under a limit of memory only, 0"
            }
            MeminfoSource::HugePagesRsvd => "the container's reservations - its pages in use",
            MeminfoSource::Hugetlb => "HugePages_Total x Hugepagesize",
            MeminfoSource::Fact => "the machine's own value",
            MeminfoSource::Use(_) => "the container's own use",
            MeminfoSource::Cached => "file",
            MeminfoSource::SwapCached => "swapcached, at most the swap in use",
            MeminfoSource::Zswapped => "zswapped, at most the swap in use",
            MeminfoSource::Shmem => "the container's own use, at most Cached",
            MeminfoSource::Nothing => "0: no cgroup counts it",
        }
    }
}
