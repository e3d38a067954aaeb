//! Files and directories below `/sys/devices/system`: which ones a caller sees, and their bytes.

use super::{answers::Answers, error::AnswerError};
use crate::{
    base::{metrics, units::CpuSet},
    facts::{
        container::{Caller, Container},
        host::Node,
    },
    view::{
        files::{Attribute, CPUS, Rule, Subject, VisibleDevices},
        model::{self, topology::Nodes},
        render,
    },
};
use std::sync::Arc;

/// Seen CPUs and memory nodes of a container, and the nodes of the machine.
struct Topology {
    seen: CpuSet,
    nodes: Nodes,
    host: Arc<Vec<Node>>,
}

impl Answers {
    /// Returns whether the machine has a file or directory with the path `path` below `/`.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.machine.has(path)
    }

    /// Returns the CPUs and memory nodes that have a directory of their own for that caller.
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

    /// Returns the size in bytes and the permission bits that the kernel states of its own file at
    /// `path` below `/`, if the file is there.
    ///
    /// A file of sysfs has the size of its largest content, mostly one page (`fs/sysfs/file.c`,
    /// `sysfs_add_file_mode_ns`).
    #[must_use]
    pub fn kernel_size_and_mode(&self, path: &str) -> Option<(u64, u16)> {
        self.machine.root().size_and_mode(path.as_ref()).ok()
    }

    /// Returns the bytes of the host's own attribute.
    ///
    /// # Errors
    /// When the attribute cannot be read.
    pub fn read_host_attribute(&self, attribute: Attribute) -> Result<Vec<u8>, AnswerError> {
        Ok(self.machine.bytes(attribute.path().as_ref())?)
    }

    /// Returns the bytes that the container reads from the attribute now.
    ///
    /// # Errors
    /// [`AnswerError::Unseen`] for a directory, and for an attribute of a CPU or node that the
    /// container does not see; when neither the present facts nor earlier ones are known.
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
        let Topology { seen, nodes, host } = &topology;
        let text = match attribute.rule() {
            Rule::Directory => return Err(AnswerError::Unseen { path }),
            Rule::Fact => return self.read_host_attribute(attribute),
            Rule::Meminfo => return self.render_node_meminfo(attribute, nodes, container),
            Rule::SeenCpus => seen.to_string(),
            Rule::UnseenCpus => {
                let possible: CpuSet = self.machine.list(&format!("{CPUS}/possible"))?;
                possible.difference(seen).to_string()
            }
            Rule::CpuList => {
                let own: CpuSet = self.machine.list(&path)?;
                own.intersection(seen).to_string()
            }
            Rule::CpuMask => {
                let mask = own()?;
                seen.masked(mask.trim_end())
            }
            Rule::CpuWords => model::topology::words(&own()?, seen),
            Rule::Online => "1".to_owned(),
            Rule::SmtActive => u8::from(self.is_smt(seen)).to_string(),
            Rule::SeenNodes => nodes.ids().to_string(),
            Rule::MemoryNodes => nodes.memory.to_string(),
            Rule::CpuNodes => nodes.with_cpus().to_string(),
            Rule::Distances => nodes.distances(&own()?, host),
            Rule::Zeros => model::topology::zeros(&own()?),
        };
        metrics::ANSWERS.count();
        Ok((text + "\n").into_bytes())
    }

    fn topology(&self, container: &Container) -> Result<Topology, AnswerError> {
        let seen = self.cpus(container)?;
        let host = self.host_nodes()?;
        let numa = self.numa_facts(container)?;
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

    fn render_node_meminfo(
        &self,
        attribute: Attribute,
        nodes: &Nodes,
        container: &Container,
    ) -> Result<Vec<u8>, AnswerError> {
        let Subject::Node(id) = attribute.subject() else {
            let path = attribute.path();
            return Err(AnswerError::Unseen { path });
        };
        let view = self.node_meminfo(id, &nodes.memory, container)?;
        let mut out = Vec::with_capacity(4096);
        render::node::meminfo(id, &view, &mut out);
        Ok(out)
    }
}
