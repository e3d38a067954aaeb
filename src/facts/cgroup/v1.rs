//! Reads the v1 directories of one cgroup and its ancestors
//! (`Documentation/admin-guide/cgroup-v1/`).

use super::{
    CpuUse, DeviceUse, HugetlbLevel, Memory, MemoryLevel, MemoryUse, SwapLevel, SwapLimit,
    devices as devices_of,
    fact::{Fact, v1, v1_names},
    layout::{fact, nearest, optional},
    levels::levels,
    parse,
    quota::Quotas,
};
use crate::base::{
    sys::{self, Dir, ReadError},
    units::{Bytes, CpuSet, Limit, Micros, NodeId, NodeSet},
};
use std::path::Path;

/// Reads the memory of the cgroup at `path`. Accounting is hierarchical (always, since Linux 5.11).
pub(super) fn memory(root: &Dir, path: &Path, has_swap: bool) -> Result<Memory, ReadError> {
    let mut memory = Memory::default();
    for (steps, level) in levels(path).filter(|(_, level)| level.parent().is_some()) {
        let inner = level != path;
        let limit = level.join(v1(Fact::MemoryMax));
        let max = match fact(root, &limit, parse::limit_in_bytes)? {
            Some(max) => max,
            None if inner => continue,
            None => return Err(gone(&limit)),
        };
        let memsw = match has_swap {
            true => fact(root, &level.join(v1(Fact::SwapMax)), parse::limit_in_bytes)?,
            false => None,
        };
        if inner && max == Limit::Unlimited && memsw.unwrap_or_default() == Limit::Unlimited {
            continue;
        }
        let current = bytes(root, &level.join(v1(Fact::MemoryCurrent)))?;
        let stat = stat(root, level)?;
        memory.levels.push(MemoryLevel {
            steps,
            max,
            high: Limit::Unlimited,
            current,
            reclaimable: stat.reclaimable(),
            swap: match memsw {
                None => None,
                Some(memsw) => Some(SwapLevel {
                    max: SwapLimit::WithMemory(memsw),
                    high: Limit::Unlimited,
                    current: bytes(root, &level.join(v1(Fact::SwapCurrent)))?.less(current),
                }),
            },
        });
        if !inner {
            memory.usage = stat;
        }
    }
    if memory.levels.is_empty() {
        memory.usage = stat(root, path)?;
    } else if has_swap {
        // A swappiness of 0 is meant to disable swapping (mm/vmscan.c, get_scan_count).
        let swappiness = fact(root, &path.join("memory.swappiness"), parse::number)?;
        memory.is_unswappable = swappiness == Some(0);
    }
    Ok(memory)
}

fn stat(root: &Dir, level: &Path) -> Result<MemoryUse, ReadError> {
    let text = optional(root, &level.join(v1(Fact::MemoryStat)))?.unwrap_or_default();
    Ok(parse::memory_stat_v1(&text))
}

/// Reads the counts in `memory.stat` of the cgroup at `path` that include descendants, by their names
/// in v2, the processes of the cgroup itself that were killed for lack of memory, and the allocations
/// that met its limit. `pgpgin` and `pgpgout` are left out: v1 counts charged pages under these names.
pub(super) fn memory_counts(root: &Dir, path: &Path) -> Result<Vec<(String, u64)>, ReadError> {
    let text = optional(root, &path.join(v1(Fact::MemoryStat)))?.unwrap_or_default();
    let total = parse::flat(&text).filter_map(|(name, count)| {
        let name = name.strip_prefix("total_")?;
        (!name.starts_with("pgpg")).then(|| (name.to_owned(), count))
    });
    let control = optional(root, &path.join("memory.oom_control"))?.unwrap_or_default();
    let killed = parse::flat(&control).filter(|(name, _)| *name == "oom_kill");
    let killed = killed.map(|(name, count)| (name.to_owned(), count));
    // v1 counts for both limits what `max` of memory.events counts for one.
    let mut met = None;
    for file in ["memory.failcnt", "memory.memsw.failcnt"] {
        let text = optional(root, &path.join(file))?.unwrap_or_default();
        if let Some(count) = parse::number(&text) {
            met = Some(met.unwrap_or(0u64).saturating_add(count));
        }
    }
    let met = met.map(|count| ("max".to_owned(), count));
    Ok(total.chain(killed).chain(met).collect())
}

/// Reads the requests of the cgroup at `path` and its descendants to block devices.
pub(super) fn devices(root: &Dir, path: &Path) -> Result<Vec<DeviceUse>, ReadError> {
    let text = |file: &str| {
        let path = path.join(format!("blkio.throttle.{file}_recursive"));
        Ok::<_, ReadError>(optional(root, &path)?.unwrap_or_default())
    };
    Ok(devices_of::blkio(
        &text("io_service_bytes")?,
        &text("io_serviced")?,
    ))
}

/// Reads limit and use of huge pages of that size, of the cgroup at `path` and its ancestors.
pub(super) fn hugetlb(root: &Dir, path: &Path, size: &str) -> Result<Vec<HugetlbLevel>, ReadError> {
    let mut read = Vec::new();
    for (_, level) in levels(path) {
        let file = |name: &str| level.join(format!("hugetlb.{size}.{name}_in_bytes"));
        if let Some(max) = fact(root, &file("limit"), parse::limit_in_bytes)? {
            let reservable = fact(root, &file("rsvd.limit"), parse::limit_in_bytes)?;
            let current = bytes(root, &file("usage"))?;
            read.push(HugetlbLevel {
                max: max.stricter(reservable.unwrap_or_default()),
                current,
                reserved: bytes(root, &file("rsvd.usage"))?.less(current),
            });
        }
    }
    Ok(read)
}

fn bytes(root: &Dir, path: &Path) -> Result<Bytes, ReadError> {
    let text = optional(root, path)?.unwrap_or_default();
    Ok(Bytes(parse::number(&text).unwrap_or_default()))
}

fn gone(path: &Path) -> ReadError {
    ReadError::refused(path)(std::io::ErrorKind::NotFound.into())
}

/// Reads the use of each memory node by the cgroup at `path` and its descendants.
pub(super) fn numa_use(root: &Dir, path: &Path) -> Result<Vec<(NodeId, MemoryUse)>, ReadError> {
    let text = optional(root, &path.join("memory.numa_stat"))?.unwrap_or_default();
    Ok(parse::numa_stat_v1(&text, sys::page_size()))
}

/// Reads the effective CPUs of the cgroup at `path`, or of the nearest ancestor that has any: a new
/// cpuset has no CPU, and no process, until it gets some.
pub(super) fn cpuset(root: &Dir, path: &Path) -> Result<Option<CpuSet>, ReadError> {
    let [effective, bare] = v1_names(Fact::Cpus);
    nearest(root, path, &[effective, bare, "cpuset.cpus", "cpus"])
}

/// Reads the effective memory nodes of the cgroup at `path`, or of the nearest ancestor that has any.
pub(super) fn mems(root: &Dir, path: &Path) -> Result<Option<NodeSet>, ReadError> {
    let [effective, bare] = v1_names(Fact::Mems);
    nearest(root, path, &[effective, bare, "cpuset.mems", "mems"])
}

/// Reads each quota from the cgroup at `path` up; the root has none.
pub(super) fn quotas(root: &Dir, path: &Path) -> Result<Quotas, ReadError> {
    levels(path).try_fold(Quotas::default(), |quotas, (steps, level)| {
        let Some(quota) = optional(root, &level.join(v1(Fact::Quota)))? else {
            return Ok(quotas);
        };
        let period = match quota.starts_with('-') {
            true => None,
            false => optional(root, &level.join("cpu.cfs_period_us"))?,
        };
        let period = period.unwrap_or_default();
        let quota = parse::cfs(&quota, &period).ok_or_else(|| ReadError::garbled(level))?;
        Ok(quotas.and(quota, steps))
    })
}

/// Reads the CPU time that the cgroup at `path` has used, by CPU.
pub(super) fn cpu_use(root: &Dir, path: &Path) -> Result<CpuUse, ReadError> {
    let all = path.join("cpuacct.usage_all");
    let all = root.text_held(&all).map_err(ReadError::refused(&all))?;
    let totals = optional(root, &path.join(v1(Fact::CpuUse)))?.unwrap_or_default();
    Ok(CpuUse {
        per_cpu: Some(parse::cpuacct(&totals, &all)),
        ..CpuUse::default()
    })
}

/// Reads the CPU time that the cgroup at `path` has used, as a sum.
pub(super) fn cpu_used(root: &Dir, path: &Path) -> Result<Micros, ReadError> {
    let nanos = fact(root, &path.join("cpuacct.usage"), parse::number)?;
    Ok(Micros::from_nanos(nanos.unwrap_or_default()))
}

/// Reads the time for which a quota of the cgroup at `path` or of an ancestor throttled the cgroup;
/// `None` where the kernel does not count.
pub(super) fn throttled_local(root: &Dir, path: &Path) -> Result<Option<Micros>, ReadError> {
    let text = optional(root, &path.join(v1(Fact::ThrottledLocal)))?;
    Ok(text.map(|text| parse::throttled_time(&text)))
}

/// Reads the time for which the quota throttled the cgroup at `path`.
pub(super) fn throttled(root: &Dir, path: &Path) -> Result<Micros, ReadError> {
    let text = optional(root, &path.join(v1(Fact::Throttled)))?.unwrap_or_default();
    Ok(parse::throttled_time(&text))
}
