//! Reads a v2 directory and its ancestors (`Documentation/admin-guide/cgroup-v2.rst`).

use super::{
    AncestorThrottle, CpuUse, DeviceUse, HugetlbLevel, Memory, MemoryLevel, MemoryUse, SwapLevel,
    SwapLimit, devices as devices_of,
    fact::{Fact, v2},
    layout::{fact, nearest, optional},
    levels::levels,
    parse,
    quota::Quotas,
};
use crate::base::{
    sys::{Dir, ReadError},
    units::{Bytes, CpuSet, Limit, Micros, NodeId, NodeSet},
};
use std::path::Path;

/// Reads the memory of the cgroup at `path`.
///
/// The kernel charges memory to the nearest ancestor that has the controller, if the cgroup itself
/// lacks the controller. The use and the limits of that ancestor are then the container's.
pub(super) fn memory(root: &Dir, path: &Path, has_swap: bool) -> Result<Memory, ReadError> {
    let mut memory = Memory::default();
    let mut usage: Option<MemoryUse> = None;
    for (steps, level) in levels(path) {
        let Some(max) = fact(root, &level.join(v2(Fact::MemoryMax)), parse::limit)? else {
            // A removed cgroup looks like one without the controller.
            if level == path {
                exists(root, path)?;
            }
            continue;
        };
        let high = limit(root, &level.join(v2(Fact::MemoryHigh)))?;
        let swap = match has_swap {
            true => swap_limits(root, level)?,
            false => SwapLimits::default(),
        };
        let limits = [max, high, swap.max, swap.high];
        if usage.is_some() && limits == [Limit::Unlimited; 4] {
            continue;
        }
        let stat = optional(root, &level.join(v2(Fact::MemoryStat)))?.unwrap_or_default();
        let stat = parse::memory_stat(&stat);
        memory.levels.push(MemoryLevel {
            steps,
            max,
            high,
            current: bytes(root, &level.join(v2(Fact::MemoryCurrent)))?,
            reclaimable: stat.reclaimable(),
            swap: match has_swap {
                true => swap_level(root, level, swap)?,
                false => None,
            },
        });
        usage.get_or_insert(stat);
    }
    memory.is_unswappable = has_swap && is_unswappable(root, path)?;
    memory.usage = match usage {
        Some(usage) => usage,
        // The root has no limit, and counts the memory of no other cgroup.
        None => parse::memory_stat(
            &optional(root, Path::new(v2(Fact::MemoryStat)))?.unwrap_or_default(),
        ),
    };
    Ok(memory)
}

#[derive(Default, Clone, Copy)]
struct SwapLimits {
    max: Limit<Bytes>,
    high: Limit<Bytes>,
}

fn swap_limits(root: &Dir, level: &Path) -> Result<SwapLimits, ReadError> {
    Ok(SwapLimits {
        max: limit(root, &level.join(v2(Fact::SwapMax)))?,
        high: limit(root, &level.join("memory.swap.high"))?,
    })
}

fn swap_level(
    root: &Dir,
    level: &Path,
    limits: SwapLimits,
) -> Result<Option<SwapLevel>, ReadError> {
    let current = fact(root, &level.join(v2(Fact::SwapCurrent)), parse::number)?;
    Ok(current.map(|current| SwapLevel {
        max: SwapLimit::Alone(limits.max),
        high: limits.high,
        current: Bytes(current),
    }))
}

// Without write-back a page is swapped to zswap only (mem_cgroup_zswap_writeback_enabled in
// mm/memcontrol.c), and to nowhere if zswap may hold nothing.
fn is_unswappable(root: &Dir, path: &Path) -> Result<bool, ReadError> {
    Ok(
        has_zero(root, path, "memory.zswap.writeback")?
            && has_zero(root, path, "memory.zswap.max")?,
    )
}

// Looks no further up than the first cgroup without the file: an older kernel has none.
fn has_zero(root: &Dir, path: &Path, file: &str) -> Result<bool, ReadError> {
    for (_, level) in levels(path) {
        match fact(root, &level.join(file), parse::limit)? {
            Some(limit) if limit == Limit::At(Bytes::ZERO) => return Ok(true),
            Some(_) => {}
            None => break,
        }
    }
    Ok(false)
}

fn limit(root: &Dir, path: &Path) -> Result<Limit<Bytes>, ReadError> {
    Ok(fact(root, path, parse::limit)?.unwrap_or_default())
}

fn bytes(root: &Dir, path: &Path) -> Result<Bytes, ReadError> {
    let text = optional(root, path)?.unwrap_or_default();
    Ok(Bytes(parse::number(&text).unwrap_or_default()))
}

fn exists(root: &Dir, path: &Path) -> Result<(), ReadError> {
    root.dir(path).map(drop).map_err(ReadError::refused(path))
}

/// Reads the counts in `memory.stat` and `memory.events` of the cgroup at `path`, or of the nearest
/// ancestor that has them.
pub(super) fn memory_counts(root: &Dir, path: &Path) -> Result<Vec<(String, u64)>, ReadError> {
    for (_, level) in levels(path) {
        if let Some(stat) = optional(root, &level.join(v2(Fact::MemoryStat)))? {
            let events = optional(root, &level.join("memory.events"))?.unwrap_or_default();
            let counts = parse::flat(&stat).chain(parse::flat(&events));
            return Ok(counts
                .map(|(name, count)| (name.to_owned(), count))
                .collect());
        }
    }
    Ok(Vec::new())
}

/// Reads the requests of the cgroup at `path` to block devices; none where the controller is not
/// enabled, since the counts of an ancestor include other cgroups.
pub(super) fn devices(root: &Dir, path: &Path) -> Result<Vec<DeviceUse>, ReadError> {
    let text = optional(root, &path.join(v2(Fact::Devices)))?;
    Ok(devices_of::io_stat(&text.unwrap_or_default()))
}

/// Reads limit and use of huge pages of that size, of the cgroup at `path` and its ancestors that
/// count them.
pub(super) fn hugetlb(root: &Dir, path: &Path, size: &str) -> Result<Vec<HugetlbLevel>, ReadError> {
    let mut read = Vec::new();
    for (_, level) in levels(path) {
        let file = |name: &str| level.join(format!("hugetlb.{size}.{name}"));
        if let Some(max) = fact(root, &file("max"), parse::limit)? {
            let current = bytes(root, &file("current"))?;
            read.push(HugetlbLevel {
                max: max.stricter(limit(root, &file("rsvd.max"))?),
                current,
                reserved: bytes(root, &file("rsvd.current"))?.less(current),
            });
        }
    }
    Ok(read)
}

/// Reads the use of each memory node by the cgroup at `path`, or by the nearest ancestor that counts.
pub(super) fn numa_use(root: &Dir, path: &Path) -> Result<Vec<(NodeId, MemoryUse)>, ReadError> {
    for (_, level) in levels(path) {
        if let Some(text) = optional(root, &level.join("memory.numa_stat"))? {
            return Ok(parse::numa_stat(&text));
        }
    }
    Ok(Vec::new())
}

/// Reads the effective CPUs of the cgroup at `path`, from the nearest cgroup that has the controller:
/// the kernel has intersected them with the ancestors'.
pub(super) fn cpuset(root: &Dir, path: &Path) -> Result<Option<CpuSet>, ReadError> {
    nearest(root, path, &[v2(Fact::Cpus)])
}

/// Reads the effective memory nodes of the cgroup at `path`, from the nearest cgroup that has the
/// controller.
pub(super) fn mems(root: &Dir, path: &Path) -> Result<Option<NodeSet>, ReadError> {
    nearest(root, path, &[v2(Fact::Mems)])
}

/// Reads each `cpu.max` from the cgroup at `path` up.
pub(super) fn quotas(root: &Dir, path: &Path) -> Result<Quotas, ReadError> {
    levels(path).try_fold(Quotas::default(), |quotas, (steps, level)| {
        let max = fact(root, &level.join(v2(Fact::Quota)), parse::cpu_max)?;
        Ok(quotas.and(max.unwrap_or_default(), steps))
    })
}

/// Reads the time for which a quota of the cgroup at `path` or of an ancestor throttled the cgroup;
/// `None` where the kernel does not count.
pub(super) fn throttled_local(root: &Dir, path: &Path) -> Result<Option<Micros>, ReadError> {
    let text = optional(root, &path.join(v2(Fact::ThrottledLocal)))?;
    Ok(text.map(|text| parse::cpu_stat(&text).throttled))
}

/// Reads the throttled time and the use of the cgroup at `level`, which is `steps` above the
/// container's.
pub(super) fn throttle(
    root: &Dir,
    level: &Path,
    steps: usize,
) -> Result<AncestorThrottle, ReadError> {
    let usage = cpu_use(root, level)?;
    Ok(AncestorThrottle {
        steps,
        throttled: usage.throttled,
        used: usage.user.plus(usage.system),
    })
}

/// Reads the CPU time that the cgroup at `path` has used.
pub(super) fn cpu_use(root: &Dir, path: &Path) -> Result<CpuUse, ReadError> {
    let path = path.join(v2(Fact::CpuUse));
    let text = root.text_held(&path).map_err(ReadError::refused(&path))?;
    Ok(parse::cpu_stat(&text))
}
