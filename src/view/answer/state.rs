//! State that answers keep between two reads: of the machine, and of each container.

use super::dated::Latest;
use crate::{
    base::units::{Bytes, CpuSet, Micros, NodeId, Pid},
    facts::{
        cgroup::{Cpu, DeviceUse, HugetlbLevel, Memory, Numa},
        container::{Census, Container},
        host::{Cpuinfo, Meminfo, Node, NodeLists, Stat},
    },
    view::model::{
        load::{Averages, Tasks},
        node::{NodeMeminfo, NodeVmstat},
        stat::Clock,
        time::Birth,
        topology::Nodes,
    },
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Last good facts of the machine. Each fact has a lock of its own.
#[derive(Debug, Default)]
pub(super) struct HostState {
    pub(super) meminfo: Mutex<Latest<Arc<Meminfo>>>,
    pub(super) stat: Mutex<Latest<Arc<Stat>>>,
    pub(super) cpuinfo: Mutex<Latest<Arc<Cpuinfo>>>,
    pub(super) online: Mutex<Latest<Arc<CpuSet>>>,
    pub(super) nodes: Mutex<Latest<Arc<HostNodes>>>,
    /// The sizes of memory nodes, beside the memory of the machine at that time.
    pub(super) node_sizes: Mutex<NodeSizes>,
}

/// The memory nodes with the lists that they were read by. A node has the same CPUs as long as no CPU
/// and no node comes or goes, so that one look at the lists stands for a look at each node.
#[derive(Debug)]
pub(super) struct HostNodes {
    pub(super) lists: NodeLists,
    pub(super) nodes: Arc<Vec<Node>>,
}

/// The sizes of memory nodes. They stay as long as the memory of the machine does, which is their sum.
#[derive(Debug, Default)]
pub(super) struct NodeSizes {
    /// The memory of the machine, `MemTotal`.
    pub(super) machine: Bytes,
    /// The size of each node that was read.
    pub(super) nodes: BTreeMap<NodeId, Bytes>,
}

/// Seen CPUs and memory nodes of a container, and the nodes of the machine.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) seen: CpuSet,
    pub(super) nodes: Nodes,
    pub(super) host: Arc<Vec<Node>>,
}

/// Division of a container's memory among the nodes.
#[derive(Debug, Default)]
pub(super) struct NodeParts {
    /// The moments at which the facts of the division were read.
    pub(super) moments: [Option<Micros>; 6],
    /// Parts of the lines of `meminfo`.
    pub(super) meminfo: Option<Arc<NodeMeminfo>>,
    /// Parts of the counts of `vmstat`.
    pub(super) vmstat: Option<Arc<NodeVmstat>>,
}

/// State of one container.
#[derive(Debug, Default)]
pub(super) struct ContainerState {
    /// Identity of the container and its cgroup paths.
    pub(super) container: Latest<Arc<Container>>,
    /// Returns whether `container` has a path in every hierarchy.
    pub(super) is_placed: bool,
    /// Memory limits and use of the cgroup and its ancestors.
    pub(super) memory: Latest<Memory>,
    /// CPU limits and use of the cgroup, and the seen CPUs.
    pub(super) cpu: Latest<CpuFacts>,
    /// Huge page limits and use of the cgroup and its ancestors.
    pub(super) hugetlb: Latest<Vec<HugetlbLevel>>,
    /// Memory nodes of the cgroup and their use.
    pub(super) numa: Latest<Arc<Numa>>,
    /// Topology of the container, and the moments at which the facts were read.
    pub(super) topology: Option<([Option<Micros>; 3], Arc<Topology>)>,
    /// Division of the container's memory among the nodes.
    pub(super) node_parts: NodeParts,
    /// Use of block devices by the cgroup.
    pub(super) devices: Latest<Vec<DeviceUse>>,
    /// Counters of `memory.stat`, by name.
    pub(super) memory_counts: Latest<Vec<(String, u64)>>,
    /// CPU times shown so far.
    pub(super) clock: Option<Clock>,
    /// Birth of the container.
    pub(super) birth: Latest<Birth>,
    /// Process whose start is `birth`.
    pub(super) init: Option<Pid>,
    /// Number of tasks by state.
    pub(super) tasks: Latest<Tasks>,
    /// The count of the tasks. The reader that works a turn of it holds the lock.
    pub(super) census: Arc<Mutex<Census>>,
    /// Load averages, from the first read of the load on.
    pub(super) load: Option<SampledLoad>,
    /// Causes of fallbacks that are in the log already.
    pub(super) warned: BTreeSet<String>,
}

/// CPU facts of a container.
#[derive(Debug, Clone)]
pub(super) struct CpuFacts {
    /// Limits and use.
    pub(super) cpu: Cpu,
    /// CPUs that the container sees under these limits.
    pub(super) seen: CpuSet,
}

/// Load averages of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampledLoad {
    /// Averages after the last sample.
    pub(super) averages: Averages,
    /// Moment of the last sample.
    pub(super) sampled: Micros,
    /// Moment of the last read.
    pub(super) read: Micros,
}
