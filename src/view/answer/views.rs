//! Typed views of a container: the numbers in the served files, before they are rendered.
//!
//! Every method reads the facts anew, or takes facts that are younger than
//! [`Answers::max_age`]. Every method fails when neither the present facts nor earlier ones are
//! known. [`Answers::loadavg`] is in a file of its own, for its sampling.

use super::{answers::Answers, error::AnswerError};
use crate::{
    base::{
        sys,
        units::{Bytes, CpuSet},
    },
    facts::container::Container,
    view::model::{
        self,
        cpu::Cpuinfo,
        disk::Disk,
        memory::{Meminfo, Sizes, Swaps},
        stat::Stat,
        time::Uptime,
    },
};

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
}
