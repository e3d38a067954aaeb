//! Reads a v2 directory and its ancestors (`Documentation/admin-guide/cgroup-v2.rst`).

use super::{
    CpuUse, DeviceUse, HugetlbLevel, Memory, MemoryLevel, MemoryUse, Strictest, SwapLevel,
    SwapLimit,
    fact::{Fact, v2},
    layout::{fact, nearest, optional},
    parse,
};
use crate::base::{
    sys::{Dir, ReadError},
    units::{Bytes, CpuSet, Limit, NodeId, NodeSet},
};
use std::path::Path;

/// Reads the memory of the cgroup at `path`.
///
/// The kernel charges memory to the nearest ancestor that has the controller, if the cgroup itself
/// lacks the controller. The use and the limits of that ancestor are then the container's.
pub(super) fn memory(root: &Dir, path: &Path, has_swap: bool) -> Result<Memory, ReadError> {
    let mut memory = Memory::default();
    let mut usage: Option<MemoryUse> = None;
    for (steps, level) in path.ancestors().enumerate() {
        let Some(max) = fact(root, &level.join(v2(Fact::MemoryMax)), parse::limit)? else {
            // A removed cgroup looks like one without the controller.
            if level == path {
                exists(root, path)?;
            }
            continue;
        };
        let swap_max = match has_swap {
            true => swap_max(root, level)?,
            false => Limit::Unlimited,
        };
        if usage.is_some() && max == Limit::Unlimited && swap_max == Limit::Unlimited {
            continue;
        }
        let stat = optional(root, &level.join(v2(Fact::MemoryStat)))?.unwrap_or_default();
        let stat = parse::memory_stat(&stat);
        memory.levels.push(MemoryLevel {
            steps,
            max,
            current: bytes(root, &level.join(v2(Fact::MemoryCurrent)))?,
            reclaimable: stat.reclaimable(),
            swap: match has_swap {
                true => swap(root, level, swap_max)?,
                false => None,
            },
        });
        usage.get_or_insert(stat);
    }
    memory.usage = match usage {
        Some(usage) => usage,
        // The root has no limit, and counts the memory of no other cgroup.
        None => parse::memory_stat(
            &optional(root, Path::new(v2(Fact::MemoryStat)))?.unwrap_or_default(),
        ),
    };
    Ok(memory)
}

fn swap(root: &Dir, level: &Path, max: Limit<Bytes>) -> Result<Option<SwapLevel>, ReadError> {
    let current = fact(root, &level.join(v2(Fact::SwapCurrent)), parse::number)?;
    Ok(current.map(|current| SwapLevel {
        max: SwapLimit::Alone(max),
        current: Bytes(current),
    }))
}

fn swap_max(root: &Dir, level: &Path) -> Result<Limit<Bytes>, ReadError> {
    Ok(fact(root, &level.join(v2(Fact::SwapMax)), parse::limit)?.unwrap_or_default())
}

fn bytes(root: &Dir, path: &Path) -> Result<Bytes, ReadError> {
    Ok(Bytes(fact(root, path, parse::number)?.unwrap_or_default()))
}

fn exists(root: &Dir, path: &Path) -> Result<(), ReadError> {
    root.dir(path).map(drop).map_err(ReadError::refused(path))
}

/// Reads the counts in `memory.stat` of the cgroup at `path`, or of the nearest ancestor that has
/// them.
pub(super) fn memory_counts(root: &Dir, path: &Path) -> Result<Vec<(String, u64)>, ReadError> {
    for level in path.ancestors() {
        if let Some(text) = optional(root, &level.join(v2(Fact::MemoryStat)))? {
            let counts = parse::flat(&text).map(|(name, count)| (name.to_owned(), count));
            return Ok(counts.collect());
        }
    }
    Ok(Vec::new())
}

/// Reads the requests of the cgroup at `path` to block devices; none where the controller is not
/// enabled, since the counts of an ancestor include other cgroups.
pub(super) fn devices(root: &Dir, path: &Path) -> Result<Vec<DeviceUse>, ReadError> {
    let text = optional(root, &path.join(v2(Fact::Devices)))?;
    Ok(parse::io_stat(&text.unwrap_or_default()))
}

/// Reads limit and use of huge pages of that size, of the cgroup at `path` and its ancestors that
/// count them.
pub(super) fn hugetlb(root: &Dir, path: &Path, size: &str) -> Result<Vec<HugetlbLevel>, ReadError> {
    let mut levels = Vec::new();
    for level in path.ancestors() {
        let max = level.join(format!("hugetlb.{size}.max"));
        if let Some(max) = fact(root, &max, parse::limit)? {
            let current = bytes(root, &level.join(format!("hugetlb.{size}.current")))?;
            levels.push(HugetlbLevel { max, current });
        }
    }
    Ok(levels)
}

/// Reads the use of each memory node by the cgroup at `path`, or by the nearest ancestor that counts.
pub(super) fn numa_use(root: &Dir, path: &Path) -> Result<Vec<(NodeId, MemoryUse)>, ReadError> {
    for level in path.ancestors() {
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

/// Reads the strictest `cpu.max` from the cgroup at `path` up.
pub(super) fn quota(root: &Dir, path: &Path) -> Result<Strictest, ReadError> {
    let mut levels = path.ancestors().enumerate();
    levels.try_fold(Strictest::default(), |strictest, (steps, level)| {
        let max = fact(root, &level.join(v2(Fact::Quota)), parse::cpu_max)?;
        Ok(strictest.or(max.unwrap_or_default(), steps))
    })
}

/// Reads the CPU time that the cgroup at `path` has used.
pub(super) fn cpu_use(root: &Dir, path: &Path) -> Result<CpuUse, ReadError> {
    let path = path.join(v2(Fact::CpuUse));
    let text = root.text_held(&path).map_err(ReadError::refused(&path))?;
    Ok(parse::cpu_stat(&text))
}
