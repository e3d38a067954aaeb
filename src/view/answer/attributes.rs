//! What stands below `/sys/devices/system`, and what it says.

use super::{AnswerError, Answers};
use crate::{
    base::{
        metrics,
        units::{CpuSet, NodeId},
    },
    facts::{
        container::{Caller, Container},
        host::Node,
    },
    view::{
        files::{Attribute, CPUS, Rule, Subject, VisibleDevices},
        model::{self, node::NodeShare, topology::Nodes},
        render,
    },
};
use std::sync::Arc;

/// What a container's answers below `/sys/devices/system` are made from.
struct Topology {
    seen: CpuSet,
    nodes: Nodes,
    host: Arc<Vec<Node>>,
}

impl Answers {
    /// Whether the machine has it.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.machine.has(path)
    }

    /// The CPUs and memory nodes that have a directory of their own for that caller.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn visible_devices(&self, caller: &Caller) -> Result<VisibleDevices, AnswerError> {
        Ok(match caller {
            Caller::Container(container) => {
                let topology = self.topology(container)?;
                VisibleDevices {
                    cpus: topology.seen,
                    nodes: topology.nodes.seen,
                }
            }
            Caller::Host => VisibleDevices {
                cpus: self.machine.list(&format!("{CPUS}/present"))?,
                nodes: (self.host_nodes()?.iter())
                    .map(|node| (node.id, node.cpus.clone()))
                    .collect(),
            },
        })
    }

    /// A size that no attribute exceeds, in whole pages: that of a list in which no two of the
    /// possible CPUs are neighbours.
    #[must_use]
    pub fn max_attribute_size(&self) -> u64 {
        const SIZE_UNIT: u64 = 4096;
        const MAX_CPU_WIDTH: u64 = 6;
        let possible = self.machine.list(&format!("{CPUS}/possible"));
        let cpus = possible.map_or(0, |cpus: CpuSet| cpus.len());
        let longest = u64::try_from(cpus).unwrap_or(0) * MAX_CPU_WIDTH;
        longest.next_multiple_of(SIZE_UNIT).max(SIZE_UNIT)
    }

    /// The bytes of the host's own attribute.
    ///
    /// # Errors
    /// When the kernel does not give them.
    pub fn read_host_attribute(&self, attribute: Attribute) -> Result<Vec<u8>, AnswerError> {
        Ok(self.machine.bytes(attribute.path().as_ref())?)
    }

    /// The bytes that the container should read from the attribute, now.
    ///
    /// # Errors
    /// [`AnswerError::Unseen`] when it is of a CPU or node that the container does not see; and
    /// when neither the present facts nor earlier ones are known.
    pub fn render_attribute(
        &self,
        attribute: Attribute,
        container: &Container,
    ) -> Result<Vec<u8>, AnswerError> {
        let topology = self.topology(container)?;
        let path = attribute.path();
        let is_seen = match attribute.subject() {
            Subject::Machine => true,
            Subject::Cpu(cpu) => topology.seen.contains(cpu),
            Subject::Node(node) => topology.nodes.ids().contains(node),
        };
        if !is_seen {
            return Err(AnswerError::Unseen { path });
        }
        let own = || self.machine.text(&path);
        let seen = &topology.seen;
        let text = match attribute.rule() {
            Rule::Directory => return Err(AnswerError::Unseen { path }),
            Rule::Fact => return self.read_host_attribute(attribute),
            Rule::Meminfo => return self.node_meminfo(attribute, &topology, container),
            Rule::SeenCpus => seen.to_string(),
            Rule::UnseenCpus => {
                let possible: CpuSet = self.machine.list(&format!("{CPUS}/possible"))?;
                possible.difference(seen).to_string()
            }
            Rule::CpuList => self
                .machine
                .list::<_>(&path)?
                .intersection(seen)
                .to_string(),
            Rule::CpuMask => {
                let mask = own()?;
                let masked = seen.masked(mask.trim_end());
                masked.ok_or_else(|| crate::base::sys::ReadError::garbled(path.as_ref()))?
            }
            Rule::CpuWords => model::topology::words(&own()?, seen),
            Rule::Online => "1".to_owned(),
            Rule::SmtActive => u8::from(self.is_smt(seen)).to_string(),
            Rule::SeenNodes => topology.nodes.ids().to_string(),
            Rule::MemoryNodes => topology.nodes.memory.to_string(),
            Rule::CpuNodes => topology.nodes.with_cpus().to_string(),
            Rule::Distances => topology.nodes.distances(&own()?, &topology.host),
            Rule::Zeros => model::topology::zeros(&own()?),
        };
        metrics::ANSWERS.count();
        Ok((text + "\n").into_bytes())
    }

    fn topology(&self, container: &Container) -> Result<Topology, AnswerError> {
        let (_, _, seen) = self.cpu(container)?;
        let host = self.host_nodes()?;
        let numa = self.numa(container)?;
        Ok(Topology {
            nodes: model::topology::nodes(numa.mems.as_ref(), &seen, &host),
            seen,
            host,
        })
    }

    fn is_smt(&self, seen: &CpuSet) -> bool {
        let threads = |cpu: u32| format!("{CPUS}/cpu{cpu}/topology/thread_siblings_list");
        let cores = seen.iter().map(|cpu| threads(cpu.0));
        let cores = cores.filter_map(|path| self.machine.list(&path).ok());
        model::topology::is_smt(seen, cores)
    }

    fn node_meminfo(
        &self,
        attribute: Attribute,
        topology: &Topology,
        container: &Container,
    ) -> Result<Vec<u8>, AnswerError> {
        let Subject::Node(id) = attribute.subject() else {
            let path = attribute.path();
            return Err(AnswerError::Unseen { path });
        };
        let usage = self.numa(container)?.usage;
        let share = |node: NodeId| {
            let used = usage.iter().find(|(other, _)| *other == node);
            Ok(NodeShare {
                id: node,
                size: self.machine.node_meminfo(node)?.size("MemTotal"),
                usage: used.map(|(_, usage)| *usage).unwrap_or_default(),
            })
        };
        let shares: Result<Vec<NodeShare>, AnswerError> =
            topology.nodes.memory.iter().map(share).collect();
        let whole = self.meminfo(container)?;
        let host = self.machine.node_meminfo(id)?;
        let view = model::node::meminfo(id, &whole, &shares?, &host);
        let mut out = Vec::with_capacity(4096);
        render::node::meminfo(id, &view, &mut out);
        Ok(out)
    }
}
