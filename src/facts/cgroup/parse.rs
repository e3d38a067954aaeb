//! Pure. The shapes of cgroup files: one value, flat keys, a quota.

use super::{CpuShare, CpuUse, MemoryUse, Quota};
use crate::base::units::{Bytes, CpuId, Limit, Micros, NodeId, count};
use std::collections::BTreeMap;

/// Parses a file of one number, in the first line that is one.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    text.lines().find_map(|line| count(plain(line)))
}

/// Parses a limit of v2 in bytes: a number, or `max`, in the first line that is one of them.
#[must_use]
pub fn limit(text: &str) -> Option<Limit<Bytes>> {
    text.lines().find_map(|line| match plain(line) {
        "max" => Some(Limit::Unlimited),
        line => count(line).map(|limit| Limit::At(Bytes(limit))),
    })
}

/// Parses a limit of v1: a number of bytes. The kernel prints no limit as the largest page counter
/// times the page size, which differs by architecture but is far beyond any machine
/// (`PAGE_COUNTER_MAX`). `-1`, which the kernel accepts for no limit, is none either.
#[must_use]
pub fn limit_in_bytes(text: &str) -> Option<Limit<Bytes>> {
    const BEYOND: u64 = 1 << 60;
    text.lines().find_map(|line| match plain(line) {
        "-1" => Some(Limit::Unlimited),
        line => count(line).map(|limit| match limit >= BEYOND {
            true => Limit::Unlimited,
            false => Limit::At(Bytes(limit)),
        }),
    })
}

/// Removes white space and NUL bytes from both ends.
fn plain(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\0')
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

/// The period of a quota that names none, as the kernel has it for a new cgroup
/// (`default_cfs_period` in `kernel/sched/fair.c`).
const DEFAULT_PERIOD: Micros = Micros(100_000);

/// Parses `cpu.max`: the quota or `max`, and the period, in microseconds, in the first line that has
/// them.
#[must_use]
pub fn cpu_max(text: &str) -> Option<Limit<Quota>> {
    text.lines().find_map(|line| {
        let mut words = plain(line).split_ascii_whitespace();
        let quota = words.next()?;
        if quota == "max" {
            return Some(Limit::Unlimited);
        }
        let period = words.next().map_or(Some(DEFAULT_PERIOD.0), count);
        Quota::new(Micros(count(quota)?), Micros(period?)).map(Limit::At)
    })
}

/// Parses `cpu.cfs_quota_us` (-1: no quota) and `cpu.cfs_period_us`.
#[must_use]
pub fn cfs(quota: &str, period: &str) -> Option<Limit<Quota>> {
    let line = quota
        .lines()
        .map(plain)
        .find(|line| count(line).is_some())?;
    if line.starts_with('-') {
        return Some(Limit::Unlimited);
    }
    let period = number(period).unwrap_or(DEFAULT_PERIOD.0);
    Quota::new(Micros(count(line)?), Micros(period)).map(Limit::At)
}

/// Parses flat keys (`memory.stat`, `cpu.stat`): one key and one number a line. Other lines are left
/// out, and words behind the number.
pub fn flat(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        Some((words.next()?, count(words.next()?)?))
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
    // The line is the one with the most numbers.
    let totals = usage_percpu.lines().map(|line| -> Vec<Option<u64>> {
        let words = plain(line).split_ascii_whitespace();
        words.map(count).collect()
    });
    let numbers = |totals: &Vec<Option<u64>>| totals.iter().flatten().count();
    let totals = totals.max_by_key(numbers).unwrap_or_default();
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
    fn a_line_that_is_no_number_does_not_lose_the_number() {
        for text in [
            "4096",
            " 4096 \r\n",
            "4096\0\n",
            "(null)\n4096\n",
            "4096\nx\n",
            "\n4096",
        ] {
            assert_eq!(number(text), Some(4096), "{text:?}");
            assert_eq!(limit(text), Some(Limit::At(Bytes(4096))), "{text:?}");
            assert_eq!(
                limit_in_bytes(text),
                Some(Limit::At(Bytes(4096))),
                "{text:?}"
            );
        }
        assert_eq!(number("99999999999999999999\n"), Some(u64::MAX));
        assert_eq!(number("-5\n"), Some(0));
        assert_eq!((number(""), number("\n"), number("-")), (None, None, None));
        assert_eq!(limit(" max \n"), Some(Limit::Unlimited));
        assert_eq!(
            limit_in_bytes("18446744073709551616\n"),
            Some(Limit::Unlimited)
        );
        assert_eq!(limit_in_bytes("-1\n"), Some(Limit::Unlimited));
    }

    #[test]
    fn an_odd_line_of_flat_keys_costs_only_itself() {
        let text =
            "anon 1\r\n\nanon\n(null)\nkey x\nslab_reclaimable\t7\nfile -3\nzswap 4 5\0\nshmem 6";
        let usage = memory_stat(text);
        assert_eq!(
            (usage.anon, usage.file, usage.shmem),
            (Bytes(1), Bytes(0), Bytes(6))
        );
        assert_eq!((usage.slab_reclaimable, usage.zswap), (Bytes(7), Bytes(4)));
    }

    #[test]
    fn a_huge_page_is_named_in_its_largest_unit() {
        let names = [64 << 10, 2 << 20, 1 << 30].map(|size| huge_page_name(Bytes(size)));
        assert_eq!(names, ["64KB", "2MB", "1GB"]);
    }

    #[test]
    fn a_quota_is_read_from_either_version() {
        let half = Quota::new(Micros(50_000), Micros(100_000)).map(Limit::At);
        for text in ["50000 100000\n", "50000", "(null)\n 50000\t100000 x\r\n"] {
            assert_eq!(cpu_max(text), half, "{text:?}");
        }
        assert_eq!(cpu_max("max\n"), Some(Limit::Unlimited));
        assert_eq!(cpu_max("50000 0\n"), None);
        assert_eq!(cfs("x\n50000", "x"), half);
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
        let odd = cpuacct(
            "(null)\n9000 x \n",
            "no\n0 1000 x\n1 2000 0\n0 5000 1999 7\n",
        );
        let totals: Vec<Micros> = odd.iter().map(|share| share.total).collect();
        assert_eq!(totals, [Micros(2), Micros(9)]);
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
            let _ = throttled_time(&text);
        }
    }
}
