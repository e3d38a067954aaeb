//! Memory of the nodes that a container may use: `meminfo`, `vmstat` and huge pages of each.
//!
//! One division of the container's memory serves the files of all nodes, as long as its facts are the
//! latest ones. So a reader of every node costs one division, and not one for each node.

use super::{answers::Answers, error::AnswerError, state::NodeParts};
use crate::{
    base::{
        sys::{self, ReadError},
        units::{Bytes, Micros, NodeId, NodeSet},
    },
    facts::{cgroup::MemoryUse, container::Container},
    view::model::{
        self,
        hugetlb::HugePages,
        memory::MeminfoLine,
        node::{NodeMeminfo, NodeShare, NodeVmstat},
    },
};
use std::{collections::BTreeMap, sync::Arc};

impl Answers {
    /// Returns `meminfo` of the memory node `id`. The container may use the memory of the nodes
    /// `memory`.
    pub(super) fn node_meminfo(
        &self,
        id: NodeId,
        memory: &NodeSet,
        container: &Container,
    ) -> Result<Vec<MeminfoLine>, AnswerError> {
        let whole = self.meminfo(container)?;
        let host = self.machine.node_meminfo(id)?;
        let known = self.node_parts(container, |parts| parts.meminfo.clone())?;
        let parts = match known {
            Some(parts) => parts,
            None => {
                let shares = self.node_shares(memory, container)?;
                let parts = Arc::new(NodeMeminfo::new(&whole, &shares, &host));
                self.node_parts(container, |state| state.meminfo = Some(Arc::clone(&parts)))?;
                parts
            }
        };
        Ok(parts.of(id, &host))
    }

    /// Returns `vmstat` of the memory node `id`: names and counts, in the machine's order. The
    /// container may use the memory of the nodes `memory`.
    pub(super) fn node_vmstat(
        &self,
        id: NodeId,
        memory: &NodeSet,
        container: &Container,
    ) -> Result<Vec<(String, u64)>, AnswerError> {
        let whole = self.vmstat(container)?;
        let host = self.machine.node_vmstat(id)?;
        let known = self.node_parts(container, |parts| parts.vmstat.clone())?;
        let parts = match known {
            Some(parts) => parts,
            None => {
                let shares = self.node_shares(memory, container)?;
                let meminfo = self.meminfo(container)?;
                let parts = Arc::new(NodeVmstat::new(&whole, &meminfo, &shares, sys::page_size()));
                self.node_parts(container, |state| state.vmstat = Some(Arc::clone(&parts)))?;
                parts
            }
        };
        Ok(parts.of(id, &host))
    }

    /// Passes the latest division of the container's memory to `access`. Drops the division first if
    /// one of its facts was read again.
    fn node_parts<T>(
        &self,
        container: &Container,
        access: impl FnOnce(&mut NodeParts) -> T,
    ) -> Result<T, AnswerError> {
        // A fact that is too old is read here, and the moments below are those of the facts in use.
        self.numa_facts(container)?;
        let host = self.host.meminfo.lock().read_at();
        let state = self.containers.entry(container.key);
        let mut state = state.lock();
        let moments = [
            host,
            state.memory.read_at(),
            state.numa.read_at(),
            state.hugetlb.read_at(),
            state.memory_counts.read_at(),
            state.devices.read_at(),
        ];
        if self.max_age == Micros::ZERO || state.node_parts.moments != moments {
            state.node_parts = NodeParts {
                moments,
                ..NodeParts::default()
            };
        }
        Ok(access(&mut state.node_parts))
    }

    fn node_shares(
        &self,
        memory: &NodeSet,
        container: &Container,
    ) -> Result<Vec<NodeShare>, AnswerError> {
        let numa = self.numa_facts(container)?;
        let usage: BTreeMap<NodeId, MemoryUse> = numa.usage.iter().copied().collect();
        let share = |node: NodeId| {
            Ok(NodeShare {
                id: node,
                size: self.node_size(node)?,
                usage: usage.get(&node).copied().unwrap_or_default(),
            })
        };
        memory.iter().map(share).collect()
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
        if self.machine.lacks_huge_pages(size) {
            return Ok(HugePages {
                size,
                ..HugePages::default()
            });
        }
        let pool = |node: NodeId| -> Result<HugePages, ReadError> {
            let (total, free) = self.machine.node_huge_pages(node, size)?;
            Ok(HugePages {
                total,
                free: free.min(total),
                reserved: 0,
                size,
            })
        };
        let pools: Result<Vec<HugePages>, ReadError> = memory.iter().map(pool).collect();
        let levels = self.cgroups.hugetlb(&container.paths, size)?;
        let total = self.memory(container)?.total;
        let is_limited = total < self.host_meminfo()?.size("MemTotal");
        let parts = model::hugetlb::of_nodes(&levels, &pools?, is_limited.then_some(total));
        let at = memory.iter().position(|node| node == id);
        let part = at.and_then(|at| parts.get(at)).copied();
        Ok(part.unwrap_or_default())
    }
}
