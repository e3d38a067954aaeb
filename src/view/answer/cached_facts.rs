//! Facts that views are made from. One read serves all files and readers within the maximal age;
//! the last good fact stands in for one that cannot be read.

use super::{
    answers::Answers,
    dated::{Dated, Latest},
    error::AnswerError,
    state::{ContainerState, CpuFacts, HostNodes, NodeSizes},
};
use crate::{
    base::{
        metrics,
        sys::ReadError,
        units::{Bytes, CpuSet, Micros, NodeId},
    },
    facts::{
        cgroup::{DeviceUse, HugetlbLevel, Memory, Numa},
        container::Container,
        host::{Cpuinfo, Meminfo, Node, Stat},
    },
    view::model,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Maximal age of facts that are costly to read and rarely change: the identity of a container,
/// its birth, its tasks.
pub(super) const SLOW_FACT_MAX_AGE: Micros = Micros::SECOND;

impl Answers {
    pub(super) fn host_meminfo(&self) -> Result<Arc<Meminfo>, ReadError> {
        self.host_fact(&self.host.meminfo, || self.machine.meminfo())
    }

    pub(super) fn host_stat(&self) -> Result<Arc<Stat>, ReadError> {
        self.host_fact(&self.host.stat, || self.machine.stat())
    }

    pub(super) fn host_cpuinfo(&self) -> Result<Arc<Cpuinfo>, ReadError> {
        self.host_fact(&self.host.cpuinfo, || self.machine.cpuinfo())
    }

    pub(super) fn host_nodes(&self) -> Result<Arc<Vec<Node>>, ReadError> {
        let latest = &self.host.nodes;
        let online = self.host_online()?;
        let fact = self.host_fact(latest, || {
            let lists = self.machine.node_lists(&online)?;
            let last = latest.lock().last().filter(|last| last.lists == lists);
            let nodes = match last {
                Some(last) => Arc::clone(&last.nodes),
                None => Arc::new(self.machine.nodes(&lists)?),
            };
            Ok(HostNodes { lists, nodes })
        });
        fact.map(|fact| Arc::clone(&fact.nodes))
    }

    /// Returns the size of a memory node.
    pub(super) fn node_size(&self, node: NodeId) -> Result<Bytes, ReadError> {
        let machine = self.host_meminfo()?.size("MemTotal");
        let known = {
            let mut sizes = self.host.node_sizes.lock();
            if sizes.machine != machine {
                *sizes = NodeSizes {
                    machine,
                    ..NodeSizes::default()
                };
            }
            sizes.nodes.get(&node).copied()
        };
        if let Some(size) = known {
            return Ok(size);
        }
        let size = self.machine.node_meminfo(node)?.size("MemTotal");
        let mut sizes = self.host.node_sizes.lock();
        if sizes.machine == machine {
            sizes.nodes.insert(node, size);
        }
        Ok(size)
    }

    pub(super) fn host_online(&self) -> Result<Arc<CpuSet>, ReadError> {
        self.host_fact(&self.host.online, || self.machine.online())
    }

    // The lock is not held while the kernel is read: two readers at once read twice, and neither
    // waits for the other.
    fn host_fact<T>(
        &self,
        latest: &Mutex<Latest<Arc<T>>>,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<Arc<T>, ReadError> {
        if let Some(fact) = latest.lock().within(self.max_age, (self.now)()) {
            return Ok(fact);
        }
        let fact = Arc::new(read()?);
        Ok(latest.lock().set((self.now)(), fact))
    }

    pub(super) fn memory_facts(&self, container: &Container) -> Result<Memory, AnswerError> {
        let has_swap = self.host_meminfo()?.size("SwapTotal") > Bytes::ZERO;
        let read = || self.cgroups.memory(&container.paths, has_swap);
        self.fact(container, |state| &mut state.memory, read)
            .map(|dated| dated.value)
    }

    /// Returns the CPU facts, with a moment before which all of the CPU use happened.
    pub(super) fn cpu_facts(&self, container: &Container) -> Result<Dated<CpuFacts>, AnswerError> {
        let online = self.host_online()?;
        let read = || {
            let cpu = self.cgroups.cpu(&container.paths)?;
            let seen = model::cpu::seen(&cpu, &online);
            Ok(CpuFacts { cpu, seen })
        };
        self.fact(container, |state| &mut state.cpu, read)
    }

    /// Returns the hugetlb levels. Reads no file of a machine that has no pool of huge pages.
    pub(super) fn hugetlb_facts(
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
            .map(|dated| dated.value)
    }

    pub(super) fn numa_facts(&self, container: &Container) -> Result<Arc<Numa>, AnswerError> {
        let read = || self.cgroups.numa(&container.paths).map(Arc::new);
        self.fact(container, |state| &mut state.numa, read)
            .map(|dated| dated.value)
    }

    pub(super) fn device_facts(
        &self,
        container: &Container,
    ) -> Result<Vec<DeviceUse>, AnswerError> {
        let read = || self.cgroups.devices(&container.paths);
        self.fact(container, |state| &mut state.devices, read)
            .map(|dated| dated.value)
    }

    pub(super) fn memory_counts(
        &self,
        container: &Container,
    ) -> Result<Vec<(String, u64)>, AnswerError> {
        let read = || self.cgroups.memory_counts(&container.paths);
        self.fact(container, |state| &mut state.memory_counts, read)
            .map(|dated| dated.value)
    }

    /// Returns the fact with the moment it was read at: the last one if it is young enough, else
    /// one that `read` returns. When `read` fails, the last good fact stands in, dated now.
    fn fact<T: Clone>(
        &self,
        container: &Container,
        latest: impl Fn(&mut ContainerState) -> &mut Latest<T>,
        read: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<Dated<T>, AnswerError> {
        let key = container.key;
        let state = self.containers.entry(key);
        if let Some(dated) = latest(&mut state.lock()).dated_within(self.max_age, (self.now)()) {
            return Ok(dated);
        }
        let fact = read();
        let at = (self.now)();
        let mut state = state.lock();
        let value = match fact {
            Ok(fact) => latest(&mut state).set(at, fact),
            Err(source) => match latest(&mut state).last() {
                Some(fact) => {
                    metrics::FALLBACKS.count();
                    if state.warned.insert(source.to_string()) {
                        tracing::warn!(container = key.0, error = %source, "answered from the last good facts");
                    }
                    fact
                }
                None => return Err(AnswerError::Container { key, source }),
            },
        };
        Ok(Dated { at, value })
    }
}
