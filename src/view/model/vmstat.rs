//! Pure. `/proc/vmstat` as a container sees it: the machine's names with the container's counts.
//!
//! | line | meaning |
//! |---|---|
//! | `nr_free_pages`, `nr_shmem`, `nr_swapcached` | `MemFree`, `Shmem`, `SwapCached` in pages |
//! | `nr_anon_pages`, `nr_dirty`, `nr_slab_*`, ... | `memory.stat` of the container's own cgroup in pages |
//! | `nr_*_hugepages`, `nr_anon_transparent_hugepages` | the same in transparent huge pages |
//! | `nr_hugetlb` | the huge pages of the default size that the container uses, in pages |
//! | `pgpgin`, `pgpgout` | KiB that the container read from and wrote to block devices |
//! | `oom_kill` | `oom_kill` of `memory.events` (v1: of `memory.oom_control`, without descendants) |
//! | `allocstall_normal` | `max` and `high` of `memory.events`: the allocations that a limit made reclaim memory first (v1: `memory.failcnt` and `memory.memsw.failcnt`) |
//! | `pgscan_direct`, `pgsteal_direct` | the counter of that name; before Linux 6.1 `pgscan`, `pgsteal`, since a limit makes the allocating task reclaim |
//! | `pswpin` | the counter of that name; before Linux 6.13 `workingset_refault_anon`, the pages that came back from the swap |
//! | lines with the name of a counter in `memory.stat` (`pgfault`, `workingset_*`, `pgsteal_*`, `thp_swpout`, `numa_*`, `zswpin`, ...) | that counter |
//! | `pswpout` before Linux 6.13; `pgscan_anon`, `pgsteal_file`, ... | 0: a cgroup counts pages in the swap, and reclaimed pages without their kind |
//! | `pgalloc_*`, `pgfree`, `pgskip_*`, `nr_zone_*` of other zones, `numa_hit`, ... | 0: a cgroup has no zones, and counts memory in use, not allocations |
//! | `nr_dirtied`, `nr_written`, `nr_mlock`, `nr_isolated_*`, `nr_vmscan_*`, `pgrotated`, `unevictable_*`, `slabs_scanned`, `swap_ra*`, `thp_split_*`, `compact_*`, `pgmigrate_*` | 0: no cgroup counts them |
//! | `drop_*`, `kswapd_*`, `pageoutrun`, `balloon_*`, `htlb_*`, `direct_map_*`, `nr_dirty_threshold`, `nr_memmap_*` | 0: the machine's own work |
//! | all other lines, and lines of future kernels | 0: nothing is known of them |

use super::memory::Sizes;
use crate::{
    base::units::Bytes,
    facts::{
        cgroup::{DeviceUse, MemoryUse},
        host,
    },
};

/// Facts that a container's `/proc/vmstat` is made from.
#[derive(Debug, Clone)]
pub struct VmstatFacts<'facts> {
    /// Memory sizes of the container.
    pub sizes: Sizes,
    /// Memory use of the cgroup.
    pub usage: &'facts MemoryUse,
    /// Counters of `memory.stat` and `memory.events`, by name.
    pub events: &'facts [(String, u64)],
    /// Use of huge pages of the default size by the cgroup.
    pub hugetlb: Bytes,
    /// Use of block devices by the cgroup.
    pub devices: &'facts [DeviceUse],
    /// Size of a page.
    pub page: Bytes,
    /// Size of a transparent huge page.
    pub huge_page: Bytes,
}

/// Returns the lines of `/proc/vmstat`, in the machine's order.
#[must_use]
pub fn vmstat(counts: &VmstatFacts<'_>, host: &host::Vmstat) -> Vec<(String, u64)> {
    let names = host.names.iter();
    names
        .map(|name| (name.clone(), VmstatSource::of(name).count(name, counts)))
        .collect()
}

/// Source of the count in a line of `/proc/vmstat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VmstatSource {
    /// `MemFree`, in pages.
    Free,
    /// Sum of these keys of `memory.stat` (by their names in v2), in pages.
    Pages(&'static [&'static str]),
    /// File pages, and those in the swap cache.
    FilePages,
    /// Pages in the swap cache.
    SwapCached,
    /// `Shmem`, in pages.
    Shmem,
    /// Huge pages of the default size that the container uses, in pages.
    Hugetlb,
    /// Key of `memory.stat`, in transparent huge pages.
    HugePages(&'static str),
    /// Key of `memory.stat`, in KiB.
    Kib(&'static str),
    /// Bytes read from block devices, in KiB.
    Read,
    /// Bytes written to block devices, in KiB.
    Written,
    /// Counter of `memory.stat` with the name of the line; without one, the counter with this name.
    EventOr(&'static str),
    /// Sum of the counters with these names in `memory.events`.
    Events(&'static [&'static str]),
    /// Counter of `memory.stat` or `memory.events` with the name of the line; 0 without one.
    Event,
}

impl VmstatSource {
    /// Returns the source of the line with that name.
    #[must_use]
    pub fn of(name: &str) -> VmstatSource {
        VmstatSource::Pages(match name {
            "nr_free_pages" => return VmstatSource::Free,
            "nr_inactive_anon" | "nr_zone_inactive_anon" => &["inactive_anon"],
            "nr_active_anon" | "nr_zone_active_anon" => &["active_anon"],
            "nr_inactive_file" | "nr_zone_inactive_file" => &["inactive_file"],
            "nr_active_file" | "nr_zone_active_file" => &["active_file"],
            "nr_unevictable" | "nr_zone_unevictable" => &["unevictable"],
            "nr_zone_write_pending" => &["file_dirty", "file_writeback"],
            "nr_slab_reclaimable" => &["slab_reclaimable"],
            "nr_slab_unreclaimable" => &["slab_unreclaimable"],
            "nr_anon_pages" => &["anon"],
            "nr_mapped" => &["file_mapped"],
            "nr_file_pages" => return VmstatSource::FilePages,
            "nr_dirty" => &["file_dirty"],
            "nr_writeback" => &["file_writeback"],
            "nr_shmem" => return VmstatSource::Shmem,
            "nr_swapcached" => return VmstatSource::SwapCached,
            "nr_hugetlb" => return VmstatSource::Hugetlb,
            "nr_page_table_pages" => &["pagetables"],
            "nr_sec_page_table_pages" => &["sec_pagetables"],
            // mm/vmstat.c counts stacks in KiB, and huge pages one by one.
            "nr_kernel_stack" => return VmstatSource::Kib("kernel_stack"),
            "nr_shmem_hugepages" => return VmstatSource::HugePages("shmem_thp"),
            "nr_file_hugepages" => return VmstatSource::HugePages("file_thp"),
            "nr_anon_transparent_hugepages" => return VmstatSource::HugePages("anon_thp"),
            "pgpgin" => return VmstatSource::Read,
            "pgpgout" => return VmstatSource::Written,
            "pswpin" => return VmstatSource::EventOr("workingset_refault_anon"),
            "pgscan_direct" => return VmstatSource::EventOr("pgscan"),
            "pgsteal_direct" => return VmstatSource::EventOr("pgsteal"),
            // mm/vmscan.c, try_to_free_pages: the stalls of one zone, which every machine has.
            "allocstall_normal" => return VmstatSource::Events(&["max", "high"]),
            _ => return VmstatSource::Event,
        })
    }

    /// Returns the keys of `memory.stat` that tell on which nodes the counted memory lies; none where
    /// no key does.
    #[must_use]
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            VmstatSource::Pages(keys) => keys,
            VmstatSource::HugePages("shmem_thp") => &["shmem_thp"],
            VmstatSource::HugePages("file_thp") => &["file_thp"],
            VmstatSource::HugePages(_) => &["anon_thp"],
            VmstatSource::Kib(_) => &["kernel_stack"],
            VmstatSource::FilePages => &["file", "swapcached"],
            VmstatSource::SwapCached => &["swapcached"],
            VmstatSource::Shmem => &["shmem"],
            _ => &[],
        }
    }

    /// Returns the formula in words, for `plimsoll show --explain`.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            VmstatSource::Free => "MemFree of /proc/meminfo in pages",
            VmstatSource::Pages(_) => "the container's own use in pages",
            VmstatSource::FilePages => "Cached + SwapCached of /proc/meminfo in pages",
            VmstatSource::SwapCached => "SwapCached of /proc/meminfo in pages",
            VmstatSource::Shmem => "Shmem of /proc/meminfo in pages",
            VmstatSource::Hugetlb => "the container's huge pages of the default size, in pages",
            VmstatSource::HugePages(_) => "the container's own use in transparent huge pages",
            VmstatSource::Kib(_) => "the container's own use in KiB",
            VmstatSource::Read => "bytes that the container read from block devices, in KiB",
            VmstatSource::Written => "bytes that the container wrote to block devices, in KiB",
            VmstatSource::EventOr("pgscan" | "pgsteal") => {
                "the counter of the same name in memory.stat, or of all reclaim on an older kernel"
            }
            VmstatSource::EventOr(_) => {
                "the counter of the same name in memory.stat, or workingset_refault_anon on an older kernel"
            }
            VmstatSource::Events(_) => {
                "max + high of memory.events (v1: memory.failcnt + memory.memsw.failcnt)"
            }
            VmstatSource::Event => {
                "the counter of the same name in memory.stat or memory.events; 0 without one"
            }
        }
    }

    fn count(self, name: &str, counts: &VmstatFacts<'_>) -> u64 {
        let usage = counts.usage;
        let pages = |bytes: Bytes| bytes.0 / counts.page.0.max(1);
        let moved = |bytes: fn(&DeviceUse) -> Bytes| {
            let sum = counts.devices.iter().map(bytes);
            sum.fold(Bytes::ZERO, Bytes::plus).kib()
        };
        match self {
            VmstatSource::Free => pages(counts.sizes.free),
            VmstatSource::Pages(keys) => {
                let counts = keys.iter().map(|key| pages(usage.of(key)));
                counts.fold(0, u64::saturating_add)
            }
            VmstatSource::FilePages => pages(usage.file) + pages(counts.sizes.swap_cached(usage)),
            VmstatSource::SwapCached => pages(counts.sizes.swap_cached(usage)),
            VmstatSource::Shmem => pages(usage.shmem).min(pages(usage.file)),
            VmstatSource::Hugetlb => pages(counts.hugetlb),
            VmstatSource::HugePages(key) => usage.of(key).0 / counts.huge_page.0.max(1),
            VmstatSource::Kib(key) => usage.of(key).kib(),
            VmstatSource::Read => moved(|device| device.read.bytes),
            VmstatSource::Written => moved(|device| device.written.bytes),
            VmstatSource::EventOr(other) => {
                let known = counts.event(name).or_else(|| counts.event(other));
                known.unwrap_or(0)
            }
            VmstatSource::Events(names) => {
                let known = names.iter().filter_map(|name| counts.event(name));
                known.fold(0, u64::saturating_add)
            }
            VmstatSource::Event => counts.event(name).unwrap_or(0),
        }
    }
}

impl VmstatFacts<'_> {
    fn event(&self, name: &str) -> Option<u64> {
        let mut events = self.events.iter();
        let known = events.find(|(event, _)| event == name);
        known.map(|(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{cgroup::Transfers, host::parse};

    fn shown(usage: MemoryUse, events: &[(&str, u64)], names: &str) -> Vec<u64> {
        let events: Vec<(String, u64)> = (events.iter())
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        let device = DeviceUse {
            read: Transfers {
                requests: 1,
                bytes: Bytes(4096),
            },
            ..DeviceUse::default()
        };
        let counts = VmstatFacts {
            sizes: Sizes {
                free: Bytes(12288),
                ..Sizes::default()
            },
            usage: &usage,
            hugetlb: Bytes(4 << 20),
            events: &events,
            devices: &[device],
            page: Bytes(4096),
            huge_page: Bytes(2 << 20),
        };
        let host: String = names.split(' ').map(|name| format!("{name} 9\n")).collect();
        let view = vmstat(&counts, &parse::vmstat(&host));
        view.iter().map(|(_, count)| *count).collect()
    }

    #[test]
    fn pages_events_and_transfers_are_the_containers_and_the_rest_is_nothing() {
        let usage = MemoryUse {
            anon: Bytes(8192),
            kernel_stack: Bytes(16384),
            anon_thp: Bytes(2 << 20),
            ..MemoryUse::default()
        };
        let names = "nr_free_pages nr_anon_pages nr_kernel_stack nr_anon_transparent_hugepages \
                     nr_hugetlb pgpgin pgfault nr_mlock";
        let values = shown(usage, &[("pgfault", 7)], names);
        assert_eq!(values, [3, 2, 16, 1, 1024, 4, 7, 0]);
    }

    #[test]
    fn kills_and_stalls_of_a_limit_are_those_of_a_machine_without_memory() {
        let events = [("max", 5), ("high", 2), ("oom", 4), ("oom_kill", 3)];
        let names = "oom_kill allocstall_dma allocstall_normal";
        assert_eq!(shown(MemoryUse::default(), &events, names), [3, 0, 7]);
    }

    #[test]
    fn an_older_kernel_counts_reclaim_and_swapping_under_other_names() {
        let names = "pgscan_direct pgsteal_direct pgscan_kswapd pswpin pswpout";
        let old = [
            ("pgscan", 9),
            ("pgsteal", 8),
            ("workingset_refault_anon", 6),
        ];
        assert_eq!(shown(MemoryUse::default(), &old, names), [9, 8, 0, 6, 0]);
        let new = [
            ("pgscan", 9),
            ("pgscan_direct", 5),
            ("pgscan_kswapd", 4),
            ("pswpin", 3),
            ("pswpout", 2),
        ];
        assert_eq!(shown(MemoryUse::default(), &new, names), [5, 0, 4, 3, 2]);
    }
}
