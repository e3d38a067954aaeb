//! Pure. The sizes of a container without those limits and uses that the kernel counts in pages: what
//! somebody needs who reads the counters of the cgroups in the kernel.

use super::{Sizes, cache, sizes};
use crate::{
    base::units::Bytes,
    facts::{
        cgroup::{HugetlbLevel, Memory},
        host,
    },
};

/// Sizes to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterBounds {
    /// `MemTotal`.
    pub total: Bytes,
    /// `MemFree`.
    pub free: Bytes,
    /// `SwapTotal`.
    pub swap_total: Bytes,
    /// `SwapFree`.
    pub swap_free: Bytes,
    /// The sizes are the container's, and no counter changes them; else they are the machine's, and bound what
    /// the counters say.
    pub is_final: bool,
}

/// Returns the sizes to start from. They are final for a container whose sizes follow from more than counters
/// in pages: on a machine with huge pages, and where the kernel does not swap the container.
#[must_use]
pub fn bounds(memory: &Memory, hugetlb: &[HugetlbLevel], host: &host::Meminfo) -> CounterBounds {
    if memory.is_unswappable || host.count("HugePages_Total") > 0 {
        let Sizes {
            total,
            free,
            available: _,
            swap_total,
            swap_free,
        } = sizes(memory, hugetlb, host);
        return CounterBounds {
            total,
            free,
            swap_total,
            swap_free,
            is_final: true,
        };
    }
    let (total, usage) = (host.size("MemTotal"), &memory.usage);
    let available = host.size("MemAvailable").less(usage.reclaimable());
    CounterBounds {
        total: host.whole_pages(total),
        free: host.whole_pages(available.min(total.less(cache(usage)))),
        swap_total: host.whole_pages(host.size("SwapTotal")),
        swap_free: host.whole_pages(host.size("SwapFree")),
        is_final: false,
    }
}
