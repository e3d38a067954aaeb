//! Pure. `/proc/vmstat` as a container sees it: the machine's names with the container's counts.
//!
//! | line | meaning |
//! |---|---|
//! | `nr_free_pages` | `MemFree` in pages |
//! | `nr_anon_pages`, `nr_dirty`, `nr_slab_*`, ... | `memory.stat` of the container's own cgroup in pages |
//! | `pgpgin`, `pgpgout` | KiB that the container read from and wrote to block devices |
//! | lines with the name of a counter in `memory.stat` (`pgfault`, `pgscan_direct`, `thp_fault_alloc`, ...) | that counter |
//! | all other lines, and lines of future kernels | 0 |

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
    /// Counters of `memory.stat`, by name.
    pub events: &'facts [(String, u64)],
    /// Use of block devices by the cgroup.
    pub devices: &'facts [DeviceUse],
    /// Size of a page.
    pub page: Bytes,
    /// Size of a huge page (`Hugepagesize`).
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
    /// Key of `memory.stat`, in huge pages.
    HugePages(&'static str),
    /// Key of `memory.stat`, in KiB.
    Kib(&'static str),
    /// Bytes read from block devices, in KiB.
    Read,
    /// Bytes written to block devices, in KiB.
    Written,
    /// Counter of `memory.stat` with the name of the line; 0 without one.
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
            "nr_file_pages" => &["file"],
            "nr_dirty" => &["file_dirty"],
            "nr_writeback" => &["file_writeback"],
            "nr_shmem" => &["shmem"],
            "nr_swapcached" => &["swapcached"],
            "nr_page_table_pages" => &["pagetables"],
            "nr_sec_page_table_pages" => &["sec_pagetables"],
            // mm/vmstat.c counts stacks in KiB, and huge pages one by one.
            "nr_kernel_stack" => return VmstatSource::Kib("kernel_stack"),
            "nr_shmem_hugepages" => return VmstatSource::HugePages("shmem_thp"),
            "nr_file_hugepages" => return VmstatSource::HugePages("file_thp"),
            "nr_anon_transparent_hugepages" => return VmstatSource::HugePages("anon_thp"),
            "pgpgin" => return VmstatSource::Read,
            "pgpgout" => return VmstatSource::Written,
            _ => return VmstatSource::Event,
        })
    }

    /// Returns the formula in words, for `plimsoll show --explain`.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            VmstatSource::Free => "MemFree of /proc/meminfo in pages",
            VmstatSource::Pages(_) => "the container's own use in pages",
            VmstatSource::HugePages(_) => "the container's own use in huge pages",
            VmstatSource::Kib(_) => "the container's own use in KiB",
            VmstatSource::Read => "bytes that the container read from block devices, in KiB",
            VmstatSource::Written => "bytes that the container wrote to block devices, in KiB",
            VmstatSource::Event => "the counter of the same name in memory.stat; 0 without one",
        }
    }

    fn count(self, name: &str, counts: &VmstatFacts<'_>) -> u64 {
        let usage = counts.usage;
        let moved = |bytes: fn(&DeviceUse) -> Bytes| {
            let sum = counts.devices.iter().map(bytes);
            sum.fold(Bytes::ZERO, Bytes::plus).kib()
        };
        match self {
            VmstatSource::Free => counts.sizes.free.0 / counts.page.0.max(1),
            VmstatSource::Pages(keys) => {
                let sum = keys.iter().map(|key| usage.of(key));
                sum.fold(Bytes::ZERO, Bytes::plus).0 / counts.page.0.max(1)
            }
            VmstatSource::HugePages(key) => usage.of(key).0 / counts.huge_page.0.max(1),
            VmstatSource::Kib(key) => usage.of(key).kib(),
            VmstatSource::Read => moved(|device| device.read.bytes),
            VmstatSource::Written => moved(|device| device.written.bytes),
            VmstatSource::Event => {
                let mut events = counts.events.iter();
                let known = events.find(|(event, _)| event == name);
                known.map_or(0, |(_, count)| *count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{cgroup::Transfers, host::parse};

    #[test]
    fn pages_events_and_transfers_are_the_containers_and_the_rest_is_nothing() {
        let usage = MemoryUse {
            anon: Bytes(8192),
            kernel_stack: Bytes(16384),
            anon_thp: Bytes(2 << 20),
            ..MemoryUse::default()
        };
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
            events: &[("pgfault".to_owned(), 7)],
            devices: &[device],
            page: Bytes(4096),
            huge_page: Bytes(2 << 20),
        };
        let host = parse::vmstat(
            "nr_free_pages 9\nnr_anon_pages 9\nnr_kernel_stack 9\n\
             nr_anon_transparent_hugepages 9\npgpgin 9\npgfault 9\noom_kill 9\n",
        );
        let values: Vec<u64> = vmstat(&counts, &host)
            .iter()
            .map(|(_, count)| *count)
            .collect();
        assert_eq!(values, [3, 2, 16, 1, 4, 7, 0]);
    }
}
