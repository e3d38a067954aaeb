//! The numbers of a container that a list of containers shows: those of its files.

use super::{answers::Answers, error::AnswerError};
use crate::{
    facts::container::Container,
    view::model::{self, summary::Summary},
};

impl Answers {
    /// Returns the sizes and times of the container.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn summary(&self, container: &Container) -> Result<Summary, AnswerError> {
        let birth = self.birth(container);
        let clock = self.clock(container, birth)?;
        let facts = self.cpu_facts(container)?.value;
        let host = self.host_meminfo()?;
        let hugetlb = self.hugetlb_facts(container, &host)?;
        let memory = self.memory_facts(container)?;
        Ok(Summary {
            memory: model::memory::sizes(&memory, &hugetlb, &host),
            used: model::memory::used(&memory, &host),
            machine: host.size("MemTotal"),
            cpus: facts.seen.len(),
            lacks_cpus: facts.seen != *self.host_online()?,
            quota: facts.cpu.quota,
            up: model::time::uptime(birth, (self.now)()),
            at: clock.moment(),
            times: clock.total(),
        })
    }
}
