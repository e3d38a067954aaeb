//! Pure. The file of each fact of a cgroup, which the readers open and an explanation names.

/// A fact that a file of a cgroup states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// The limit of memory.
    MemoryMax,
    /// The use of memory above which the kernel throttles; on v1, no file states one.
    MemoryHigh,
    /// The memory in use.
    MemoryCurrent,
    /// The use of memory by purpose.
    MemoryStat,
    /// The limit of swap; on v1, of memory and swap.
    SwapMax,
    /// The swap in use; on v1, memory and swap.
    SwapCurrent,
    /// The quota of CPU time.
    Quota,
    /// The CPU time used.
    CpuUse,
    /// The time for which the quota throttled the cgroup.
    Throttled,
    /// The time for which a quota of the cgroup or of an ancestor throttled the cgroup.
    ThrottledLocal,
    /// The effective CPUs.
    Cpus,
    /// The effective memory nodes.
    Mems,
    /// The requests to block devices.
    Devices,
    /// The tasks.
    Tasks,
}

/// Returns the name of the fact's file on cgroup v1.
#[must_use]
pub(super) fn v1(fact: Fact) -> &'static str {
    match fact {
        Fact::MemoryHigh => "memory.high",
        Fact::MemoryMax => "memory.limit_in_bytes",
        Fact::MemoryCurrent => "memory.usage_in_bytes",
        Fact::MemoryStat => "memory.stat",
        Fact::SwapMax => "memory.memsw.limit_in_bytes",
        Fact::SwapCurrent => "memory.memsw.usage_in_bytes",
        Fact::Quota => "cpu.cfs_quota_us",
        Fact::CpuUse => "cpuacct.usage_percpu",
        Fact::Throttled => "cpu.stat",
        Fact::ThrottledLocal => "cpu.stat.local",
        Fact::Cpus => "cpuset.effective_cpus",
        Fact::Mems => "cpuset.effective_mems",
        Fact::Devices => "blkio.throttle.io_service_bytes_recursive",
        Fact::Tasks => "tasks",
    }
}

/// Returns the names that the fact's file of v1 may have, the usual one first: in a hierarchy that is
/// mounted with `noprefix`, the files of cpuset lack the name of
/// their controller (`cgroup_file_name` in `kernel/cgroup/cgroup.c`).
pub(super) fn v1_names(fact: Fact) -> [&'static str; 2] {
    let name = v1(fact);
    [name, name.strip_prefix("cpuset.").unwrap_or(name)]
}

/// Returns the name of the fact's file on cgroup v2.
#[must_use]
pub(super) fn v2(fact: Fact) -> &'static str {
    match fact {
        Fact::MemoryMax => "memory.max",
        Fact::MemoryHigh => "memory.high",
        Fact::MemoryCurrent => "memory.current",
        Fact::MemoryStat => "memory.stat",
        Fact::SwapMax => "memory.swap.max",
        Fact::SwapCurrent => "memory.swap.current",
        Fact::Quota => "cpu.max",
        Fact::CpuUse | Fact::Throttled => "cpu.stat",
        Fact::ThrottledLocal => "cpu.stat.local",
        Fact::Cpus => "cpuset.cpus.effective",
        Fact::Mems => "cpuset.mems.effective",
        Fact::Devices => "io.stat",
        Fact::Tasks => "cgroup.threads",
    }
}
