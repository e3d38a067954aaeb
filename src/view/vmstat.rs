//! Pure. `/proc/vmstat` as a container sees it: the machine's names with the container's counts.
//!
//! | line | meaning |
//! |---|---|
//! | `nr_free_pages` | `MemFree` in pages |
//! | `nr_anon_pages`, `nr_dirty`, `nr_slab_*`, ... | `memory.stat` of the container's own cgroup in pages |
//! | `pgpgin`, `pgpgout` | KiB that it read from and wrote to block devices |
//! | what `memory.stat` counts under the same name (`pgfault`, `pgscan_direct`, `thp_fault_alloc`, ...) | its count |
//! | all else, and lines of kernels to come | 0 |

use super::memory::Sizes;
use crate::{
    cgroup::{DeviceUse, MemoryUse},
    host,
    units::Bytes,
};

/// What a container's `/proc/vmstat` is made from.
#[derive(Debug, Clone)]
pub struct Counts<'facts> {
    /// Its memory.
    pub sizes: Sizes,
    /// What its memory is used for.
    pub usage: &'facts MemoryUse,
    /// What its cgroup counts, by name.
    pub events: &'facts [(String, u64)],
    /// What it did to block devices.
    pub devices: &'facts [DeviceUse],
    /// The size of a page.
    pub page: Bytes,
    /// The size of a huge page (`Hugepagesize`).
    pub huge_page: Bytes,
}

/// The lines of `/proc/vmstat`, in the machine's order.
#[must_use]
pub fn vmstat(counts: &Counts<'_>, host: &host::Vmstat) -> Vec<(String, u64)> {
    let names = host.names.iter();
    names
        .map(|name| (name.clone(), count(name, counts)))
        .collect()
}

fn count(name: &str, counts: &Counts<'_>) -> u64 {
    let usage = counts.usage;
    let pages = |size: Bytes| size.0 / counts.page.0.max(1);
    let huge_pages = |size: Bytes| size.0 / counts.huge_page.0.max(1);
    let moved = |bytes: fn(&DeviceUse) -> Bytes| {
        let sum = counts.devices.iter().map(bytes);
        sum.fold(Bytes::ZERO, Bytes::plus).kib()
    };
    match name {
        "nr_free_pages" => pages(counts.sizes.free),
        "nr_inactive_anon" | "nr_zone_inactive_anon" => pages(usage.inactive_anon),
        "nr_active_anon" | "nr_zone_active_anon" => pages(usage.active_anon),
        "nr_inactive_file" | "nr_zone_inactive_file" => pages(usage.inactive_file),
        "nr_active_file" | "nr_zone_active_file" => pages(usage.active_file),
        "nr_unevictable" | "nr_zone_unevictable" => pages(usage.unevictable),
        "nr_zone_write_pending" => pages(usage.file_dirty.plus(usage.file_writeback)),
        "nr_slab_reclaimable" => pages(usage.slab_reclaimable),
        "nr_slab_unreclaimable" => pages(usage.slab_unreclaimable),
        "nr_anon_pages" => pages(usage.anon),
        "nr_mapped" => pages(usage.file_mapped),
        "nr_file_pages" => pages(usage.file),
        "nr_dirty" => pages(usage.file_dirty),
        "nr_writeback" => pages(usage.file_writeback),
        "nr_shmem" => pages(usage.shmem),
        "nr_swapcached" => pages(usage.swapcached),
        // mm/vmstat.c counts stacks in KiB, and huge pages by the piece.
        "nr_kernel_stack" => usage.kernel_stack.kib(),
        "nr_shmem_hugepages" => huge_pages(usage.shmem_thp),
        "nr_file_hugepages" => huge_pages(usage.file_thp),
        "nr_anon_transparent_hugepages" => huge_pages(usage.anon_thp),
        "nr_page_table_pages" => pages(usage.pagetables),
        "nr_sec_page_table_pages" => pages(usage.sec_pagetables),
        "pgpgin" => moved(|device| device.read.bytes),
        "pgpgout" => moved(|device| device.written.bytes),
        name => {
            let mut events = counts.events.iter();
            events
                .find(|(event, _)| event == name)
                .map_or(0, |(_, count)| *count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cgroup::Transfers, host::parse};

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
        let counts = Counts {
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
