//! Files and directories below `/sys/devices/system`: which ones a caller sees, and their bytes.

use super::{answers::Answers, error::AnswerError, state::Topology};
use crate::{
    base::{
        metrics,
        units::{Bytes, CpuId, CpuSet, Micros, NodeSet},
    },
    facts::container::{Caller, Container},
    view::{
        files::{Attribute, CPUS, POLICIES, Rule, Subject, VisibleDevices, number_after},
        model::{self, hugetlb::HugePages, topology::Nodes},
        render,
    },
};
use std::{path::PathBuf, sync::Arc};

impl Topology {
    /// Returns the machine's list or mask of CPUs, or list of nodes, without the unseen ones.
    fn seen_part(&self, rule: Rule, own: &str) -> String {
        let own = own.trim_end();
        match rule {
            Rule::CpuMask => self.seen.masked(own),
            Rule::CpuWords => model::topology::words(own, &self.seen),
            Rule::NodeList => {
                let nodes = NodeSet::listed(own);
                nodes.intersection(&self.nodes.ids()).to_string()
            }
            _ => CpuSet::listed(own).intersection(&self.seen).to_string(),
        }
    }
}

impl Answers {
    /// Returns whether the machine has a file or directory with the path `path` below `/`.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.machine.has(path)
    }

    /// Returns whether that caller sees the machine, CPU, memory node or policy.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn sees(&self, caller: &Caller, subject: Subject) -> Result<bool, AnswerError> {
        if subject == Subject::Machine {
            return Ok(true);
        }
        let devices = self.visible_devices(caller)?;
        Ok(match subject {
            Subject::Machine => true,
            Subject::Cpu(cpu) => devices.cpus.contains(cpu),
            Subject::Node(node) => devices.nodes.iter().any(|(seen, _)| *seen == node),
            Subject::Policy(policy) => self.governs(policy, &devices.cpus),
        })
    }

    /// Returns the policies of CPU frequencies that govern one of the CPUs, each by its number.
    #[must_use]
    pub fn policies(&self, cpus: &CpuSet) -> CpuSet {
        let names = self.machine.root().directories(POLICIES.as_ref());
        let names = names.unwrap_or_default().into_iter();
        let policies = names.filter_map(|name| number_after(name.to_str()?, "policy"));
        policies
            .filter(|policy| self.governs(*policy, cpus))
            .collect()
    }

    /// Returns whether the policy governs one of the CPUs. A policy has the number of a CPU that it
    /// governs.
    fn governs(&self, policy: CpuId, cpus: &CpuSet) -> bool {
        let path = format!("{POLICIES}/policy{}/related_cpus", policy.0);
        let related = || self.machine.text(&path);
        cpus.contains(policy)
            || related().is_ok_and(|related| !model::topology::words(&related, cpus).is_empty())
    }

    /// Returns the CPUs and memory nodes that have a directory of their own for that caller, without
    /// the policies, which [`Answers::policies`] returns.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn visible_devices(&self, caller: &Caller) -> Result<VisibleDevices, AnswerError> {
        Ok(match caller {
            Caller::Container(container) => {
                let topology = self.topology(container)?;
                VisibleDevices {
                    cpus: topology.seen.clone(),
                    nodes: topology.nodes.seen.clone(),
                    policies: CpuSet::default(),
                }
            }
            Caller::Host => VisibleDevices {
                cpus: self.machine.list(&format!("{CPUS}/present"))?,
                nodes: (self.host_nodes()?.iter())
                    .map(|node| (node.id, node.cpus.clone()))
                    .collect(),
                policies: CpuSet::default(),
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

    /// Returns the target of the kernel's own link at `path` below `/`, if the link is there.
    #[must_use]
    pub fn link_target(&self, path: &str) -> Option<PathBuf> {
        self.machine.root().link_target(path.as_ref()).ok()
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
    /// [`AnswerError::Unseen`] for a directory or link, and for an attribute of a CPU or node that the
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
            Subject::Node(node) => {
                let mut seen = topology.nodes.seen.iter();
                seen.any(|(id, _)| *id == node)
            }
            Subject::Policy(policy) => self.governs(policy, &topology.seen),
        };
        if !is_seen {
            return Err(AnswerError::Unseen { path });
        }
        let own = || self.machine.text(&path);
        let Topology { seen, nodes, host } = &*topology;
        let text = match attribute.rule() {
            Rule::Directory | Rule::Link => return Err(AnswerError::Unseen { path }),
            Rule::Fact => return self.read_host_attribute(attribute),
            Rule::Meminfo | Rule::Vmstat => {
                return self.render_node_memory(attribute, nodes, container);
            }
            Rule::SeenCpus => seen.to_string(),
            Rule::UnseenCpus => {
                let possible: CpuSet = self.machine.list(&format!("{CPUS}/possible"))?;
                possible.difference(seen).to_string()
            }
            Rule::CpuList | Rule::CpuMask | Rule::CpuWords | Rule::NodeList => {
                topology.seen_part(attribute.rule(), &own()?)
            }
            Rule::Online => "1".to_owned(),
            Rule::SmtActive => u8::from(self.is_smt(seen)).to_string(),
            Rule::SeenNodes => nodes.ids().to_string(),
            Rule::MemoryNodes => nodes.memory.to_string(),
            Rule::CpuNodes => nodes.with_cpus().to_string(),
            Rule::Distances => nodes.distances(&own()?, host),
            Rule::Zeros => model::topology::zeros(&own()?),
            Rule::HugePages => self
                .huge_pages(attribute, nodes, container)?
                .total
                .to_string(),
            Rule::FreeHugePages => self
                .huge_pages(attribute, nodes, container)?
                .free
                .to_string(),
            Rule::SurplusHugePages | Rule::Zero => "0".to_owned(),
        };
        metrics::ANSWERS.count();
        Ok((text + "\n").into_bytes())
    }

    /// Returns the topology of the container: the last one as long as its facts are the latest ones.
    fn topology(&self, container: &Container) -> Result<Arc<Topology>, AnswerError> {
        if let Some(last) = self.last_topology(container) {
            return Ok(last);
        }
        let seen = self.cpus(container)?;
        let host = self.host_nodes()?;
        let numa = self.numa_facts(container)?;
        let topology = Arc::new(Topology {
            nodes: model::topology::nodes(numa.mems.as_ref(), &seen, &host),
            seen,
            host,
        });
        let read_at = self.host.nodes.lock().read_at();
        let state = self.containers.entry(container.key);
        let mut state = state.lock();
        let moments = [read_at, state.cpu.read_at(), state.numa.read_at()];
        state.topology = Some((moments, Arc::clone(&topology)));
        Ok(topology)
    }

    /// Returns the last topology if none of its facts is too old or was read again.
    fn last_topology(&self, container: &Container) -> Option<Arc<Topology>> {
        let now = (self.now)();
        let young_at =
            |moment: Option<Micros>| moment.filter(|moment| now.less(*moment) < self.max_age);
        let nodes = young_at(self.host.nodes.lock().read_at())?;
        let state = self.containers.get(container.key)?;
        let state = state.lock();
        let cpu = young_at(state.cpu.read_at())?;
        let numa = young_at(state.numa.read_at())?;
        let (moments, topology) = state.topology.as_ref()?;
        (*moments == [nodes, cpu, numa].map(Some)).then(|| Arc::clone(topology))
    }

    fn is_smt(&self, seen: &CpuSet) -> bool {
        let threads = |cpu: u32| format!("{CPUS}/cpu{cpu}/topology/thread_siblings_list");
        let cores = seen.iter().map(|cpu| threads(cpu.0));
        let cores = cores.filter_map(|path| self.machine.list(&path).ok());
        model::topology::is_smt(seen, cores)
    }

    /// Returns the huge pages of the node and of the size that the path of the attribute names.
    fn huge_pages(
        &self,
        attribute: Attribute,
        nodes: &Nodes,
        container: &Container,
    ) -> Result<HugePages, AnswerError> {
        let path = attribute.path();
        let size = path.rsplit('/').nth(1).and_then(|name| {
            let kib = name.strip_prefix("hugepages-")?.strip_suffix("kB")?;
            kib.parse().ok().map(Bytes::from_kib)
        });
        let (Subject::Node(id), Some(size)) = (attribute.subject(), size) else {
            return Err(AnswerError::Unseen { path });
        };
        self.node_huge_pages(id, size, &nodes.memory, container)
    }

    fn render_node_memory(
        &self,
        attribute: Attribute,
        nodes: &Nodes,
        container: &Container,
    ) -> Result<Vec<u8>, AnswerError> {
        let Subject::Node(id) = attribute.subject() else {
            let path = attribute.path();
            return Err(AnswerError::Unseen { path });
        };
        let mut out = Vec::with_capacity(4096);
        if attribute.rule() == Rule::Vmstat {
            let view = self.node_vmstat(id, &nodes.memory, container)?;
            render::vmstat::vmstat(&view, &mut out);
        } else {
            let view = self.node_meminfo(id, &nodes.memory, container)?;
            render::node::meminfo(id, &view, &mut out);
        }
        Ok(out)
    }
}
