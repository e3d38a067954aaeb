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
        files::{Attribute, CPUS, Shown, Subject, Text},
        model::{self, node::Share, topology::Nodes},
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
    pub fn shown(&self, caller: &Caller) -> Result<Shown, AnswerError> {
        Ok(match caller {
            Caller::Container(container) => {
                let topology = self.topology(container)?;
                Shown {
                    cpus: topology.seen,
                    nodes: topology.nodes.seen,
                }
            }
            Caller::Host => Shown {
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
    pub fn attribute_bound(&self) -> u64 {
        const PAGE: u64 = 4096;
        const LONGEST: u64 = 6;
        let possible = self.machine.list(&format!("{CPUS}/possible"));
        let cpus = possible.map_or(0, |cpus: CpuSet| cpus.len());
        let longest = u64::try_from(cpus).unwrap_or(0) * LONGEST;
        longest.next_multiple_of(PAGE).max(PAGE)
    }

    /// The bytes of the host's own attribute.
    ///
    /// # Errors
    /// When the kernel does not give them.
    pub fn host_attribute(&self, attribute: Attribute) -> Result<Vec<u8>, AnswerError> {
        Ok(self.machine.bytes(attribute.path().as_ref())?)
    }

    /// The bytes that the container should read from the attribute, now.
    ///
    /// # Errors
    /// [`AnswerError::Unseen`] when it is of a CPU or node that the container does not see; and
    /// when neither the present facts nor earlier ones are known.
    pub fn attribute(
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
        let text = match attribute.text() {
            Text::Directory => return Err(AnswerError::Unseen { path }),
            Text::Fact => return self.host_attribute(attribute),
            Text::Meminfo => return self.node_meminfo(attribute, &topology, container),
            Text::Seen => seen.to_string(),
            Text::Unseen => {
                let possible: CpuSet = self.machine.list(&format!("{CPUS}/possible"))?;
                possible.difference(seen).to_string()
            }
            Text::Cpus => self
                .machine
                .list::<_>(&path)?
                .intersection(seen)
                .to_string(),
            Text::CpuMask => {
                let mask = own()?;
                let masked = seen.masked(mask.trim_end());
                masked.ok_or_else(|| crate::base::sys::ReadError::garbled(path.as_ref()))?
            }
            Text::CpuWords => model::topology::words(&own()?, seen),
            Text::On => "1".to_owned(),
            Text::Smt => u8::from(self.is_smt(seen)).to_string(),
            Text::Nodes => topology.nodes.ids().to_string(),
            Text::MemoryNodes => topology.nodes.memory.to_string(),
            Text::CpuNodes => topology.nodes.with_cpus().to_string(),
            Text::Distances => topology.nodes.distances(&own()?, &topology.host),
            Text::Zeros => model::topology::zeros(&own()?),
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
            Ok(Share {
                id: node,
                size: self.machine.node_meminfo(node)?.size("MemTotal"),
                usage: used.map(|(_, usage)| *usage).unwrap_or_default(),
            })
        };
        let shares: Result<Vec<Share>, AnswerError> =
            topology.nodes.memory.iter().map(share).collect();
        let whole = self.meminfo(container)?;
        let host = self.machine.node_meminfo(id)?;
        let view = model::node::meminfo(id, &whole, &shares?, &host);
        let mut out = Vec::with_capacity(4096);
        render::node::meminfo(id, &view, &mut out);
        Ok(out)
    }
}
