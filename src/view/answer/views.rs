//! Typed views of a container: the numbers in the served files, before they are rendered.
//!
//! Every method reads the facts anew, or takes facts that are younger than
//! [`Answers::max_age`]. Every method fails when neither the present facts nor earlier ones are
//! known. [`Answers::loadavg`] is in a file of its own, for its sampling.

use super::{answers::Answers, error::AnswerError};
use crate::{
    base::{
        sys::{self, ReadError},
        units::{Bytes, CpuSet, NodeId, NodeSet},
    },
    facts::{cgroup::MemoryUse, container::Container},
    view::model::{
        self,
        cpu::Cpuinfo,
        disk::Disk,
        hugetlb::HugePages,
        memory::{Meminfo, MeminfoLine, Sizes, Swaps},
        node::NodeShare,
        stat::Stat,
        time::Uptime,
    },
};
use std::collections::{BTreeMap, BTreeSet};

impl Answers {
    /// Returns the memory and swap sizes: `MemTotal`, `MemFree`, `MemAvailable`, `SwapTotal` and
    /// `SwapFree` of `/proc/meminfo`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn memory(&self, container: &Container) -> Result<Sizes, AnswerError> {
        let host = self.host_meminfo()?;
        let hugetlb = self.hugetlb_facts(container, &host)?;
        let memory = self.memory_facts(container)?;
        Ok(model::memory::sizes(&memory, &hugetlb, &host))
    }

    /// Returns `/proc/meminfo`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn meminfo(&self, container: &Container) -> Result<Meminfo, AnswerError> {
        let host = self.host_meminfo()?;
        let hugetlb = self.hugetlb_facts(container, &host)?;
        let memory = self.memory_facts(container)?;
        Ok(model::memory::meminfo(&memory, &hugetlb, &host))
    }

    /// Returns `/proc/swaps`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn swaps(&self, container: &Container) -> Result<Swaps, AnswerError> {
        let memory = self.memory_facts(container)?;
        Ok(model::memory::swaps(&memory, &*self.host_meminfo()?))
    }

    /// Returns `/proc/vmstat`: names and counts, in the machine's order.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn vmstat(&self, container: &Container) -> Result<Vec<(String, u64)>, AnswerError> {
        let memory = self.memory_facts(container)?;
        let events = self.memory_counts(container)?;
        let devices = self.device_facts(container)?;
        let meminfo = self.host_meminfo()?;
        let hugetlb = self.hugetlb_facts(container, &meminfo)?;
        let page = sys::page_size();
        let facts = model::vmstat::VmstatFacts {
            sizes: model::memory::sizes(&memory, &hugetlb, &meminfo),
            hugetlb: hugetlb.first().map_or(Bytes::ZERO, |own| own.current),
            usage: &memory.usage,
            events: &events,
            devices: &devices,
            page,
            huge_page: self.machine.huge_page_size(page),
        };
        Ok(model::vmstat::vmstat(&facts, &self.machine.vmstat()?))
    }

    /// Returns the seen CPUs: `/sys/devices/system/cpu/online`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn cpus(&self, container: &Container) -> Result<CpuSet, AnswerError> {
        Ok(self.cpu_facts(container)?.value.seen)
    }

    /// Returns `/proc/cpuinfo`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn cpuinfo(&self, container: &Container) -> Result<Cpuinfo, AnswerError> {
        let seen = self.cpus(container)?;
        Ok(model::cpu::cpuinfo(&seen, &*self.host_cpuinfo()?))
    }

    /// Returns `/proc/stat`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn stat(&self, container: &Container) -> Result<Stat, AnswerError> {
        let host = self.host_stat()?;
        let birth = self.birth(container);
        let clock = self.clock(container, birth)?;
        let tasks = self.tasks(container)?;
        Ok(model::stat::stat(&clock, &tasks, birth, &host))
    }

    /// Returns `/proc/uptime`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn uptime(&self, container: &Container) -> Result<Uptime, AnswerError> {
        let birth = self.birth(container);
        let clock = self.clock(container, birth)?;
        Ok(Uptime {
            up: model::time::uptime(birth, (self.now)()),
            idle: clock.total().idle,
        })
    }

    /// Returns `/proc/diskstats`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn diskstats(&self, container: &Container) -> Result<Vec<Disk>, AnswerError> {
        let devices = self.device_facts(container)?;
        Ok(model::disk::diskstats(&devices, &self.machine.diskstats()?))
    }

    /// Returns `meminfo` of the memory node `id`. The container may use the memory of the nodes
    /// `memory`.
    pub(super) fn node_meminfo(
        &self,
        id: NodeId,
        memory: &NodeSet,
        container: &Container,
    ) -> Result<Vec<MeminfoLine>, AnswerError> {
        let usage = self.numa_facts(container)?.usage;
        let usage: BTreeMap<NodeId, MemoryUse> = usage.into_iter().collect();
        let share = |node: NodeId| {
            Ok(NodeShare {
                id: node,
                size: self.node_size(node)?,
                usage: usage.get(&node).copied().unwrap_or_default(),
            })
        };
        let shares: Result<Vec<NodeShare>, AnswerError> = memory.iter().map(share).collect();
        let whole = self.meminfo(container)?;
        let host = self.machine.node_meminfo(id)?;
        Ok(model::node::meminfo(id, &whole, &shares?, &host))
    }

    /// Returns the huge pages of that size that the directory of the memory node `id` shows. The
    /// container may use the memory of the nodes `memory`.
    pub(super) fn node_huge_pages(
        &self,
        id: NodeId,
        size: Bytes,
        memory: &NodeSet,
        container: &Container,
    ) -> Result<HugePages, AnswerError> {
        let total = self.memory(container)?.total;
        let host = self.host_meminfo()?;
        let is_limited = total < host.size("MemTotal");
        let sizes = match is_limited {
            true => self.machine.huge_page_sizes(id),
            false => Vec::new(),
        };
        let sizes: BTreeSet<Bytes> = sizes.into_iter().chain([size]).collect();
        let default = host.size("Hugepagesize");
        let mut levels = Vec::new();
        for size in sizes
            .into_iter()
            .filter(|size| !self.machine.lacks_huge_pages(*size))
        {
            levels.push((size, self.cgroups.hugetlb(&container.paths, size)?));
        }
        // What a limit grants comes first, then the pages that `/proc/meminfo` shows.
        levels.sort_by_key(|(size, levels)| {
            (!model::hugetlb::is_granted(levels), *size != default, *size)
        });
        let mut left = is_limited.then_some(total);
        for (other, levels) in &levels {
            let pools: Result<Vec<HugePages>, ReadError> =
                memory.iter().map(|node| self.pool(node, *other)).collect();
            let parts = model::hugetlb::of_nodes(levels, &pools?, left);
            if *other == size {
                let at = memory.iter().position(|node| node == id);
                let part = at.and_then(|at| parts.get(at)).copied();
                return Ok(part.unwrap_or_default());
            }
            left = left.map(|left| {
                parts
                    .iter()
                    .fold(left, |left, part| left.less(part.bytes()))
            });
        }
        Ok(HugePages::default())
    }

    /// Returns the machine's huge pages of that size on a memory node.
    fn pool(&self, node: NodeId, size: Bytes) -> Result<HugePages, ReadError> {
        let (total, free) = self.machine.node_huge_pages(node, size)?;
        Ok(HugePages {
            total,
            free: free.min(total),
            reserved: 0,
            size,
        })
    }
}
