//! The facts that answers are made from: each is read once for all files and readers within the
//! age that an answer may have, and the last good one stands in for what cannot be read.

use super::{
    AnswerError, Answers,
    state::{ContainerState, Latest},
};
use crate::{
    base::{
        metrics,
        sys::ReadError,
        units::{Bytes, CpuSet, Micros},
    },
    facts::{
        cgroup::{Cpu, DeviceUse, HugetlbLevel, Memory, Numa},
        container::Container,
        host::{Cpuinfo, Meminfo, Node, Stat},
    },
    view::model,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// What the machine said lately.
#[derive(Debug, Default)]
pub(super) struct HostState {
    meminfo: Mutex<Latest<Arc<Meminfo>>>,
    stat: Mutex<Latest<Arc<Stat>>>,
    cpuinfo: Mutex<Latest<Arc<Cpuinfo>>>,
    online: Mutex<Latest<Arc<CpuSet>>>,
    nodes: Mutex<Latest<Arc<Vec<Node>>>>,
}

/// A fact, and the moment that it is of; now for one that stands in.
type Told<T> = (Micros, T);

impl Answers {
    pub(super) fn host_meminfo(&self) -> Result<Arc<Meminfo>, ReadError> {
        self.host_fact(&self.facts.meminfo, || self.machine.meminfo())
    }

    pub(super) fn host_stat(&self) -> Result<Arc<Stat>, ReadError> {
        self.host_fact(&self.facts.stat, || self.machine.stat())
    }

    pub(super) fn host_cpuinfo(&self) -> Result<Arc<Cpuinfo>, ReadError> {
        self.host_fact(&self.facts.cpuinfo, || self.machine.cpuinfo())
    }

    pub(super) fn host_nodes(&self) -> Result<Arc<Vec<Node>>, ReadError> {
        self.host_fact(&self.facts.nodes, || self.machine.nodes())
    }

    fn host_online(&self) -> Result<Arc<CpuSet>, ReadError> {
        self.host_fact(&self.facts.online, || self.machine.online())
    }

    // Read outside of the lock: two readers at once read twice, and none waits for the other.
    fn host_fact<T>(
        &self,
        kept: &Mutex<Latest<Arc<T>>>,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<Arc<T>, ReadError> {
        if let Some(fact) = kept.lock().within(self.max_age, (self.now)()) {
            return Ok(fact);
        }
        let fact = Arc::new(read()?);
        Ok(kept.lock().set((self.now)(), fact))
    }

    pub(super) fn memory(&self, container: &Container) -> Result<Memory, AnswerError> {
        let has_swap = self.host_meminfo()?.size("SwapTotal") > Bytes::ZERO;
        let read = || self.cgroups.memory(&container.paths, has_swap);
        self.fact(container, |state| &mut state.memory, read)
            .map(|(_, memory)| memory)
    }

    /// The container's CPUs, those of them that are seen, and a moment that all they used lies
    /// before.
    pub(super) fn cpu(&self, container: &Container) -> Result<(Micros, Cpu, CpuSet), AnswerError> {
        let online = self.host_online()?;
        let read = || {
            let cpu = self.cgroups.cpu(&container.paths)?;
            let seen = model::cpu::seen(&cpu, &online);
            Ok((cpu, seen))
        };
        let (at, (cpu, seen)) = self.fact(container, |state| &mut state.cpu, read)?;
        Ok((at, cpu, seen))
    }

    /// Nothing is read where the machine has no huge pages to share.
    pub(super) fn hugetlb(
        &self,
        container: &Container,
        host: &Meminfo,
    ) -> Result<Vec<HugetlbLevel>, AnswerError> {
        if host.count("HugePages_Total") == 0 {
            return Ok(Vec::new());
        }
        let size = host.size("Hugepagesize");
        let read = || self.cgroups.hugetlb(&container.paths, size);
        self.fact(container, |state| &mut state.hugetlb, read)
            .map(|(_, levels)| levels)
    }

    pub(super) fn numa(&self, container: &Container) -> Result<Numa, AnswerError> {
        let read = || self.cgroups.numa(&container.paths);
        self.fact(container, |state| &mut state.numa, read)
            .map(|(_, numa)| numa)
    }

    pub(super) fn devices(&self, container: &Container) -> Result<Vec<DeviceUse>, AnswerError> {
        let read = || self.cgroups.devices(&container.paths);
        self.fact(container, |state| &mut state.devices, read)
            .map(|(_, devices)| devices)
    }

    pub(super) fn memory_counts(
        &self,
        container: &Container,
    ) -> Result<Vec<(String, u64)>, AnswerError> {
        let read = || self.cgroups.memory_counts(&container.paths);
        self.fact(container, |state| &mut state.counts, read)
            .map(|(_, counts)| counts)
    }

    /// The fact, read unless it is young enough; or the last good one, if there is any. With the
    /// moment that it was read at, or now for one that stands in.
    fn fact<T: Clone>(
        &self,
        container: &Container,
        kept: impl Fn(&mut ContainerState) -> &mut Latest<T>,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<Told<T>, AnswerError> {
        let key = container.key;
        let state = self.containers.entry(key);
        if let Some(told) = kept(&mut state.lock()).dated_within(self.max_age, (self.now)()) {
            return Ok(told);
        }
        let fact = read();
        let now = (self.now)();
        let mut state = state.lock();
        match fact {
            Ok(fact) => Ok((now, kept(&mut state).set(now, fact))),
            Err(source) => match kept(&mut state).last() {
                Some(fact) => {
                    metrics::FALLBACKS.count();
                    if state.warned.insert(source.to_string()) {
                        tracing::warn!(container = key.0, error = %source, "answered from the last good facts");
                    }
                    Ok((now, fact))
                }
                None => Err(AnswerError::Container { key, source }),
            },
        }
    }
}
