//! Pure. The shapes of cgroup files: one value, flat keys, a quota.

use super::{CpuShare, CpuUse, DeviceUse, MemoryUse, Quota, Transfers};
use crate::base::units::{Bytes, CpuId, Limit, Micros, NodeId};
use std::collections::BTreeMap;

/// Parses a file of one number.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Parses a limit of v2 in bytes: a number, or `max`.
#[must_use]
pub fn limit(text: &str) -> Option<Limit<Bytes>> {
    match text.trim() {
        "max" => Some(Limit::Unlimited),
        text => text.parse().ok().map(|limit| Limit::At(Bytes(limit))),
    }
}

/// Parses a limit of v1: a number of bytes. The kernel prints no limit as the largest page counter
/// times the page size, which differs by architecture but is far beyond any machine
/// (`PAGE_COUNTER_MAX`).
#[must_use]
pub fn limit_in_bytes(text: &str) -> Option<Limit<Bytes>> {
    const BEYOND: u64 = 1 << 60;
    match number(text)? {
        limit if limit >= BEYOND => Some(Limit::Unlimited),
        limit => Some(Limit::At(Bytes(limit))),
    }
}

/// Returns the size of a huge page as the names of hugetlb's files have it: `2MB`
/// (`mm/hugetlb_cgroup.c`, `mem_fmt`).
#[must_use]
pub fn huge_page_name(size: Bytes) -> String {
    match size.0 {
        size if size >= 1 << 30 => format!("{}GB", size >> 30),
        size if size >= 1 << 20 => format!("{}MB", size >> 20),
        size => format!("{}KB", size >> 10),
    }
}

/// Parses `cpu.max`: the quota or `max`, and the period, in microseconds.
#[must_use]
pub fn cpu_max(text: &str) -> Option<Limit<Quota>> {
    let (quota, period) = text.trim().split_once(' ')?;
    if quota == "max" {
        return Some(Limit::Unlimited);
    }
    Quota::new(Micros(quota.parse().ok()?), Micros(period.parse().ok()?)).map(Limit::At)
}

/// Parses `cpu.cfs_quota_us` (-1: no quota) and `cpu.cfs_period_us`.
#[must_use]
pub fn cfs(quota: &str, period: &str) -> Option<Limit<Quota>> {
    let quota: i64 = quota.trim().parse().ok()?;
    match u64::try_from(quota) {
        Err(_) => Some(Limit::Unlimited),
        Ok(quota) => Quota::new(Micros(quota), Micros(number(period)?)).map(Limit::At),
    }
}

/// Parses flat keys (`memory.stat`, `cpu.stat`): one key and one number a line. Other lines are left
/// out.
pub fn flat(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// Parses `memory.stat` of v2 (`Documentation/admin-guide/cgroup-v2.rst`).
#[must_use]
pub fn memory_stat(text: &str) -> MemoryUse {
    let mut usage = MemoryUse::default();
    for (key, value) in flat(text) {
        if let Some(field) = usage.field_mut(key) {
            *field = Bytes(value);
        }
    }
    usage
}

/// Parses `memory.numa_stat` of v2: a line has a key of [`memory_stat`] and its bytes on each node.
#[must_use]
pub fn numa_stat(text: &str) -> Vec<(NodeId, MemoryUse)> {
    by_node(text, ' ', |usage, key, bytes| {
        if let Some(field) = usage.field_mut(key) {
            *field = Bytes(bytes);
        }
    })
}

/// Parses `memory.numa_stat` of v1: a line has a key with its sum, and its pages on each node. The
/// file counts anonymous, file and unevictable memory; the `hierarchical_` keys include descendants.
#[must_use]
pub fn numa_stat_v1(text: &str, page: Bytes) -> Vec<(NodeId, MemoryUse)> {
    by_node(text, '=', |usage, key, pages| {
        let bytes = Bytes(pages.saturating_mul(page.0));
        match key {
            "hierarchical_anon" => usage.anon = bytes,
            "hierarchical_file" => usage.file = bytes,
            "hierarchical_unevictable" => usage.unevictable = bytes,
            _ => {}
        }
    })
}

fn by_node(
    text: &str,
    after_key: char,
    set: impl Fn(&mut MemoryUse, &str, u64),
) -> Vec<(NodeId, MemoryUse)> {
    let mut nodes: BTreeMap<NodeId, MemoryUse> = BTreeMap::new();
    for line in text.lines() {
        let Some((key, values)) = line.split_once(after_key) else {
            continue;
        };
        for value in values.split_ascii_whitespace() {
            let node = value
                .strip_prefix('N')
                .and_then(|value| value.split_once('='));
            let Some((Ok(node), Ok(value))) =
                node.map(|(node, value)| (node.parse(), value.parse()))
            else {
                continue;
            };
            set(nodes.entry(NodeId(node)).or_default(), key, value);
        }
    }
    nodes.into_iter().collect()
}

/// Parses `memory.stat` of v1 (`Documentation/admin-guide/cgroup-v1/memory.rst`): the `total_` keys,
/// which include descendants. The file does not count slab, stacks and page tables.
#[must_use]
pub fn memory_stat_v1(text: &str) -> MemoryUse {
    let mut usage = MemoryUse::default();
    for (key, value) in flat(text) {
        let known = V1_KEYS.iter().find(|(v1, _)| *v1 == key);
        if let Some(field) = known.and_then(|(_, v2)| usage.field_mut(v2)) {
            *field = Bytes(value);
        }
    }
    usage
}

const V1_KEYS: [(&str, &str); 13] = [
    ("total_rss", "anon"),
    ("total_rss_huge", "anon_thp"),
    ("total_cache", "file"),
    ("total_swapcached", "swapcached"),
    ("total_shmem", "shmem"),
    ("total_mapped_file", "file_mapped"),
    ("total_dirty", "file_dirty"),
    ("total_writeback", "file_writeback"),
    ("total_inactive_anon", "inactive_anon"),
    ("total_active_anon", "active_anon"),
    ("total_inactive_file", "inactive_file"),
    ("total_active_file", "active_file"),
    ("total_unevictable", "unevictable"),
];

/// Returns the key of v1's `memory.stat` for a key of v2's; `None` where v1 has no such count.
#[must_use]
pub fn v1_key(v2: &str) -> Option<&'static str> {
    let known = V1_KEYS.iter().find(|(_, key)| *key == v2);
    known.map(|(v1, _)| *v1)
}

/// Parses `cpu.stat` of v2.
#[must_use]
pub fn cpu_stat(text: &str) -> CpuUse {
    let mut usage = CpuUse::default();
    for (key, value) in flat(text) {
        match key {
            "user_usec" => usage.user = Micros(value),
            "system_usec" => usage.system = Micros(value),
            "nice_usec" => usage.nice = Micros(value),
            "throttled_usec" => usage.throttled = Micros(value),
            _ => {}
        }
    }
    usage
}

/// Parses `throttled_time` of v1's `cpu.stat`, which is in nanoseconds; zero without such a line.
#[must_use]
pub fn throttled_time(text: &str) -> Micros {
    flat(text)
        .find(|(key, _)| *key == "throttled_time")
        .map_or(Micros::ZERO, |(_, nanos)| Micros::from_nanos(nanos))
}

/// Parses `cpuacct.usage_percpu`, which has each CPU's time in nanoseconds, and `cpuacct.usage_all`,
/// which has a header, then a CPU and its user and system time in nanoseconds a line.
///
/// Since Linux 5.18 `usage_all` counts ticks, and only `usage_percpu` is exact
/// (`kernel/sched/cpuacct.c`, `cpuacct_cpuusage_read`).
#[must_use]
pub fn cpuacct(usage_percpu: &str, usage_all: &str) -> Vec<CpuShare> {
    let totals: Vec<Option<u64>> = usage_percpu
        .split_ascii_whitespace()
        .map(|nanos| nanos.parse().ok())
        .collect();
    usage_all
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let number: u32 = words.next()?.parse().ok()?;
            let user = Micros::from_nanos(words.next()?.parse().ok()?);
            let system = Micros::from_nanos(words.next()?.parse().ok()?);
            let total = usize::try_from(number).ok().and_then(|at| totals.get(at));
            Some(CpuShare {
                cpu: CpuId(number),
                total: match total {
                    Some(Some(nanos)) => Micros::from_nanos(*nanos),
                    _ => user.plus(system),
                },
                user,
                system,
            })
        })
        .collect()
}

/// Parses `io.stat` of v2: a line has a device, then nested keys (`rbytes=1 wbytes=2 rios=3 ...`).
#[must_use]
pub fn io_stat(text: &str) -> Vec<DeviceUse> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let mut device = DeviceUse {
                number: device_number(words.next()?)?,
                ..DeviceUse::default()
            };
            for (key, value) in words.filter_map(|word| word.split_once('=')) {
                let value: u64 = value.parse().ok()?;
                match key {
                    "rbytes" => device.read.bytes = Bytes(value),
                    "wbytes" => device.written.bytes = Bytes(value),
                    "dbytes" => device.discarded.bytes = Bytes(value),
                    "rios" => device.read.requests = value,
                    "wios" => device.written.requests = value,
                    "dios" => device.discarded.requests = value,
                    _ => {}
                }
            }
            Some(device)
        })
        .collect()
}

/// Parses `blkio.throttle.io_service_bytes_recursive` and `blkio.throttle.io_serviced_recursive` of
/// v1: a line has a device, a kind of request and a number.
#[must_use]
pub fn blkio(bytes: &str, serviced: &str) -> Vec<DeviceUse> {
    let mut devices: Vec<DeviceUse> = Vec::new();
    let mut add = |text: &str, set: fn(&mut Transfers, u64)| {
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let number = words.next().and_then(device_number);
            let kind = words.next();
            let value = words.next().and_then(|value| value.parse().ok());
            let (Some(number), Some(kind), Some(value)) = (number, kind, value) else {
                continue;
            };
            let known = devices.iter().position(|device| device.number == number);
            let at = known.unwrap_or_else(|| {
                devices.push(DeviceUse {
                    number,
                    ..DeviceUse::default()
                });
                devices.len() - 1
            });
            let Some(device) = devices.get_mut(at) else {
                continue;
            };
            match kind {
                "Read" => set(&mut device.read, value),
                "Write" => set(&mut device.written, value),
                "Discard" => set(&mut device.discarded, value),
                _ => {}
            }
        }
    };
    add(bytes, |transfers, value| transfers.bytes = Bytes(value));
    add(serviced, |transfers, value| transfers.requests = value);
    devices
}

fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn no_limit_is_told_from_a_large_one() {
        assert_eq!(limit("max\n"), Some(Limit::Unlimited));
        assert_eq!(limit("4096\n"), Some(Limit::At(Bytes(4096))));
        assert_eq!(
            limit_in_bytes("9223372036854771712\n"),
            Some(Limit::Unlimited)
        );
        assert_eq!(
            limit_in_bytes("1099511627776\n"),
            Some(Limit::At(Bytes(1 << 40)))
        );
        assert_eq!(limit("x"), None);
    }

    #[test]
    fn a_huge_page_is_named_in_its_largest_unit() {
        let names = [64 << 10, 2 << 20, 1 << 30].map(|size| huge_page_name(Bytes(size)));
        assert_eq!(names, ["64KB", "2MB", "1GB"]);
    }

    #[test]
    fn a_quota_is_read_from_either_version() {
        let half = Quota::new(Micros(50_000), Micros(100_000)).map(Limit::At);
        assert_eq!(cpu_max("50000 100000\n"), half);
        assert_eq!(cfs("50000\n", "100000\n"), half);
        assert_eq!(cpu_max("max 100000\n"), Some(Limit::Unlimited));
        assert_eq!(cfs("-1\n", "100000\n"), Some(Limit::Unlimited));
    }

    #[test]
    fn file_mapped_is_not_taken_for_file() {
        let usage = memory_stat("anon 1\nfile 2\nfile_mapped 3\nfuture 9\n");
        assert_eq!((usage.file, usage.file_mapped), (Bytes(2), Bytes(3)));
    }

    #[test]
    fn descendants_count_in_v1_too() {
        let usage = memory_stat_v1("rss 1\ntotal_rss 5\ncache 1\ntotal_cache 7\n");
        assert_eq!((usage.anon, usage.file), (Bytes(5), Bytes(7)));
    }

    #[test]
    fn cpuacct_is_in_nanoseconds_for_each_cpu() {
        let shares = cpuacct("9000 0 \n", "cpu user system\n0 5000 1999\n1 0 0\n");
        assert_eq!(shares.len(), 2);
        assert_eq!((shares[0].user, shares[0].system), (Micros(5), Micros(1)));
        assert_eq!(shares[0].total, Micros(9));
        assert_eq!(cpuacct("", "0 5000 1000\n")[0].total, Micros(6));
    }

    #[test]
    fn both_versions_tell_the_same_of_a_device() {
        let device = DeviceUse {
            number: (259, 0),
            read: Transfers {
                requests: 3,
                bytes: Bytes(4096),
            },
            written: Transfers {
                requests: 1,
                bytes: Bytes(512),
            },
            ..DeviceUse::default()
        };
        let v2 = "259:0 rbytes=4096 wbytes=512 rios=3 wios=1 dbytes=0 dios=0 new=7\n";
        assert_eq!(io_stat(v2), [device]);
        let bytes = "259:0 Read 4096\n259:0 Write 512\n259:0 Total 4608\nTotal 4608\n";
        let serviced = "259:0 Read 3\n259:0 Write 1\nTotal 4\n";
        assert_eq!(blkio(bytes, serviced), [device]);
    }

    #[test]
    fn use_by_node_is_read_from_either_version() {
        let v2 = numa_stat("anon N0=8192 N1=4096\nfile N0=0 N1=4096\nfuture N0=9\n");
        assert_eq!((v2[0].1.anon, v2[1].1.anon), (Bytes(8192), Bytes(4096)));
        let v1 = "total=5 N0=5\nanon=1 N0=1\nhierarchical_total=3 N0=2 N1=1\n\
                  hierarchical_anon=3 N0=2 N1=1\nhierarchical_file=1 N0=0 N1=1\n";
        assert_eq!(numa_stat_v1(v1, Bytes(4096)), v2);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in any::<String>()) {
            let _ = (number(&text), limit(&text), limit_in_bytes(&text), cpu_max(&text));
            let _ = (memory_stat(&text), memory_stat_v1(&text), cpu_stat(&text), cpuacct(&text, &text));
            let _ = (numa_stat(&text), numa_stat_v1(&text, Bytes(4096)));
            let _ = (throttled_time(&text), io_stat(&text), blkio(&text, &text));
        }
    }
}
