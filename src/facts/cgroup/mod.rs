//! The limits and the use of a cgroup: the same facts for v1, v2 and hybrid hosts.

pub mod devices;
mod fact;
mod layout;
mod levels;
mod members;
mod membership;
pub mod parse;
mod paths;
mod quota;
mod read;
mod trigger;
mod v1;
mod v2;

pub use fact::Fact;
pub use layout::Layout;
pub use members::Members;
pub use membership::Membership;
pub use paths::Paths;
pub use quota::Quota;
pub use trigger::Trigger;

use crate::base::units::{Bytes, CpuId, CpuSet, Limit, Micros, NodeId, NodeSet};

/// The memory of a container: its own use, and every limit that binds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// The container's own cgroup and its ancestors that have a limit, from the inside out.
    ///
    /// Empty for the root of the hierarchy, which has no limit and no counter of its own.
    pub levels: Vec<MemoryLevel>,
    /// The memory that the container's own cgroup uses, its descendants included.
    pub usage: MemoryUse,
    /// The kernel swaps nothing more of the container's own cgroup: a `memory.swappiness` of 0 on
    /// v1; on v2, no write-back from zswap and no zswap (`memory.zswap.writeback`,
    /// `memory.zswap.max`).
    pub is_unswappable: bool,
}

/// Limit and use of memory in one cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryLevel {
    /// The number of steps above the container's own cgroup.
    pub steps: usize,
    /// `memory.max`, `memory.limit_in_bytes`.
    pub max: Limit<Bytes>,
    /// `memory.high`: the use above which the kernel throttles the cgroup. Unlimited on v1, whose
    /// `memory.soft_limit_in_bytes` throttles nobody.
    pub high: Limit<Bytes>,
    /// `memory.current`, `memory.usage_in_bytes`.
    pub current: Bytes,
    /// The memory that the kernel can take back without swapping: page cache and reclaimable slab.
    pub reclaimable: Bytes,
    /// Swap, where the kernel accounts for it.
    pub swap: Option<SwapLevel>,
}

/// Limit and use of swap in one cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwapLevel {
    /// The limit.
    pub max: SwapLimit,
    /// `memory.swap.high`: the use above which the kernel throttles the cgroup. Unlimited on v1.
    pub high: Limit<Bytes>,
    /// `memory.swap.current`; v1: `memory.memsw.usage_in_bytes` less the memory in use.
    pub current: Bytes,
}

/// The scope of a limit on swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapLimit {
    /// The limit is only on swap: `memory.swap.max` of v2.
    Alone(Limit<Bytes>),
    /// The limit is on memory and swap together: `memory.memsw.limit_in_bytes` of v1.
    WithMemory(Limit<Bytes>),
}

/// The use of a cgroup's memory by purpose (`memory.stat`); zero where the kernel does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    missing_docs,
    reason = "the names are those of memory.stat in cgroup v2"
)]
pub struct MemoryUse {
    pub anon: Bytes,
    pub file: Bytes,
    pub swapcached: Bytes,
    pub shmem: Bytes,
    pub file_mapped: Bytes,
    pub file_dirty: Bytes,
    pub file_writeback: Bytes,
    pub inactive_anon: Bytes,
    pub active_anon: Bytes,
    pub inactive_file: Bytes,
    pub active_file: Bytes,
    pub unevictable: Bytes,
    pub slab_reclaimable: Bytes,
    pub slab_unreclaimable: Bytes,
    pub kernel_stack: Bytes,
    pub pagetables: Bytes,
    pub sec_pagetables: Bytes,
    pub percpu: Bytes,
    pub vmalloc: Bytes,
    pub anon_thp: Bytes,
    pub file_thp: Bytes,
    pub shmem_thp: Bytes,
    pub zswap: Bytes,
    pub zswapped: Bytes,
}

impl MemoryUse {
    /// Returns the amount under a key of `memory.stat` in cgroup v2; zero under any other.
    #[must_use]
    pub fn of(&self, key: &str) -> Bytes {
        let mut copy = *self;
        copy.field_mut(key).map_or(Bytes::ZERO, |field| *field)
    }

    /// Returns the amount under a key of `memory.stat` in v2.
    fn field_mut(&mut self, key: &str) -> Option<&mut Bytes> {
        Some(match key {
            "anon" => &mut self.anon,
            "file" => &mut self.file,
            "swapcached" => &mut self.swapcached,
            "shmem" => &mut self.shmem,
            "file_mapped" => &mut self.file_mapped,
            "file_dirty" => &mut self.file_dirty,
            "file_writeback" => &mut self.file_writeback,
            "inactive_anon" => &mut self.inactive_anon,
            "active_anon" => &mut self.active_anon,
            "inactive_file" => &mut self.inactive_file,
            "active_file" => &mut self.active_file,
            "unevictable" => &mut self.unevictable,
            "slab_reclaimable" => &mut self.slab_reclaimable,
            "slab_unreclaimable" => &mut self.slab_unreclaimable,
            "kernel_stack" => &mut self.kernel_stack,
            "pagetables" => &mut self.pagetables,
            "sec_pagetables" => &mut self.sec_pagetables,
            "percpu" => &mut self.percpu,
            "vmalloc" => &mut self.vmalloc,
            "anon_thp" => &mut self.anon_thp,
            "file_thp" => &mut self.file_thp,
            "shmem_thp" => &mut self.shmem_thp,
            "zswap" => &mut self.zswap,
            "zswapped" => &mut self.zswapped,
            _ => return None,
        })
    }

    /// Returns the memory that the kernel can take back without swapping: page cache on the file
    /// lists, and reclaimable slab.
    #[must_use]
    pub fn reclaimable(&self) -> Bytes {
        self.active_file
            .plus(self.inactive_file)
            .plus(self.slab_reclaimable)
    }
}

/// The memory nodes that a container may use, and its use of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numa {
    /// The effective nodes; `None` where there is no cpuset controller.
    pub mems: Option<NodeSet>,
    /// The memory in use by node (`memory.numa_stat`); none where the kernel does not count.
    pub usage: Vec<(NodeId, MemoryUse)>,
}

/// Limit and use of huge pages of one size in one cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HugetlbLevel {
    /// The lower of the limits of use and of reservations: `hugetlb.SIZE.max` and
    /// `hugetlb.SIZE.rsvd.max`; v1: `hugetlb.SIZE.limit_in_bytes` and
    /// `hugetlb.SIZE.rsvd.limit_in_bytes`.
    pub max: Limit<Bytes>,
    /// `hugetlb.SIZE.current`, `hugetlb.SIZE.usage_in_bytes`.
    pub current: Bytes,
    /// The part of the reservations that is not in use yet: `hugetlb.SIZE.rsvd.current` (v1:
    /// `hugetlb.SIZE.rsvd.usage_in_bytes`) less `current`.
    pub reserved: Bytes,
}

/// The requests of a container to one block device, since its cgroup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceUse {
    /// The device's numbers, major and minor.
    pub number: (u32, u32),
    /// The reads.
    pub read: Transfers,
    /// The writes.
    pub written: Transfers,
    /// The discards.
    pub discarded: Transfers,
}

/// Requests of one kind to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfers {
    /// The number of requests.
    pub requests: u64,
    /// The sum of their sizes.
    pub bytes: Bytes,
}

/// The CPUs of a container: the set, the quota and the time used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpu {
    /// The effective cpuset; `None` where there is no cpuset controller.
    pub cpuset: Option<CpuSet>,
    /// The strictest quota of the container and its ancestors.
    pub quota: Limit<Quota>,
    /// The number of steps from the container's own cgroup up to the cgroup with that quota.
    pub quota_steps: usize,
    /// `usage.throttled` is from `cpu.stat.local`, and includes the time of ancestors.
    pub counts_ancestors: bool,
    /// The time used by the container's own cgroup and its descendants, since its creation.
    pub usage: CpuUse,
}

/// The CPU time used since the cgroup was made; each counter only grows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuUse {
    /// The time in user mode, niced time included (v2).
    pub user: Micros,
    /// The time in the kernel (v2).
    pub system: Micros,
    /// The part of `user` that was niced (v2, Linux 6.11 and later).
    pub nice: Micros,
    /// The time for which the quota throttled the cgroup, summed over the CPUs; where the kernel
    /// counts (Linux 6.6 and later), also the time for which a quota of an ancestor did.
    pub throttled: Micros,
    /// The ancestors with a quota, from the inside out; none where `throttled` includes their time.
    pub above: Vec<AncestorThrottle>,
    /// The time on each of the machine's CPUs (v1, which counts by CPU only).
    pub per_cpu: Option<Vec<CpuShare>>,
}

/// The time for which the quota of an ancestor throttled all cgroups below, and their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AncestorThrottle {
    /// The number of steps from the container's own cgroup up to the ancestor.
    pub steps: usize,
    /// The time for which the quota throttled the ancestor, summed over the CPUs.
    pub throttled: Micros,
    /// The CPU time that the ancestor and its descendants used.
    pub used: Micros,
}

impl AncestorThrottle {
    fn latest(&self, others: &[AncestorThrottle]) -> AncestorThrottle {
        let same = others.iter().find(|other| other.steps == self.steps);
        let other = same.unwrap_or(self);
        AncestorThrottle {
            steps: self.steps,
            throttled: self.throttled.max(other.throttled),
            used: self.used.max(other.used),
        }
    }
}

impl CpuUse {
    /// Returns the larger value of each counter: facts that were read at two moments may arrive in
    /// the other order.
    #[must_use]
    pub fn latest(&self, other: &CpuUse) -> CpuUse {
        let per_cpu = match (&self.per_cpu, &other.per_cpu) {
            (Some(mine), Some(theirs)) if mine.len() == theirs.len() => {
                let both = mine.iter().zip(theirs);
                Some(both.map(|(mine, theirs)| mine.latest(theirs)).collect())
            }
            (mine, theirs) => theirs.clone().or_else(|| mine.clone()),
        };
        CpuUse {
            user: self.user.max(other.user),
            system: self.system.max(other.system),
            nice: self.nice.max(other.nice),
            throttled: self.throttled.max(other.throttled),
            above: (other.above.iter())
                .map(|level| level.latest(&self.above))
                .collect(),
            per_cpu,
        }
    }
}

impl CpuShare {
    fn latest(&self, other: &CpuShare) -> CpuShare {
        CpuShare {
            cpu: other.cpu,
            total: self.total.max(other.total),
            user: self.user.max(other.user),
            system: self.system.max(other.system),
        }
    }
}

/// The time used on one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuShare {
    /// The CPU.
    pub cpu: CpuId,
    /// The exact time in all modes.
    pub total: Micros,
    /// The time in user mode, as counted by timer ticks: short by every lost tick.
    pub user: Micros,
    /// The time in the kernel, as counted by timer ticks.
    pub system: Micros,
}
