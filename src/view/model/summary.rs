//! Pure. The numbers of a container that a list of containers shows: those of its files.

use super::{memory::Sizes, stat::Times};
use crate::{
    base::units::{Bytes, Limit, Micros},
    facts::cgroup::Quota,
};

/// The sizes and times of a container at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The sizes in `/proc/meminfo`.
    pub memory: Sizes,
    /// The memory in use, see [`memory::used`](super::memory::used).
    pub used: Option<Bytes>,
    /// The machine's `MemTotal`.
    pub machine: Bytes,
    /// The number of seen CPUs: those of `/proc/cpuinfo`.
    pub cpus: usize,
    /// The machine has CPUs online that the container does not see.
    pub lacks_cpus: bool,
    /// The strictest quota of the container and its ancestors.
    pub quota: Limit<Quota>,
    /// The first number of `/proc/uptime`.
    pub up: Micros,
    /// The moment of `times`, on the machine's boot clock.
    pub at: Micros,
    /// The columns of the line `cpu` of `/proc/stat`, in microseconds.
    pub times: Times,
}

impl Summary {
    /// Returns whether the container has less memory than the machine.
    #[must_use]
    pub fn has_memory_limit(&self) -> bool {
        self.memory.total < self.machine
    }

    /// Returns whether the limits leave the container less than the whole machine, by memory or by
    /// CPUs: whether `attach --all` and the hook give the container its files.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.has_memory_limit() || self.lacks_cpus
    }
}
