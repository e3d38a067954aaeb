//! Explanations: for each line of a file, the formula and its inputs.
//!
//! The lines are those of the answer itself, and the inputs are the values that the views compute
//! from, so that the explanation of a line cannot contradict the line.

mod calls;
mod explained;
mod explainer;
mod reason;

pub use explained::{Explained, Input};

use super::{answers::Answers, error::AnswerError};
use crate::{
    facts::container::Container,
    view::files::{Attribute, File, Rule},
};
use explainer::Explainer;

impl Answers {
    /// Explains each line that the container reads from the file.
    ///
    /// # Errors
    /// As for [`Answers::render`].
    pub fn explain(
        &self,
        file: File,
        container: &Container,
    ) -> Result<Vec<Explained>, AnswerError> {
        let bytes = self.render(file, container)?;
        let text = String::from_utf8_lossy(&bytes);
        let explainer = Explainer::new(self, container)?;
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(|line| explainer.line(file, line)).collect()
    }

    /// Explains each line that the container reads from the attribute.
    ///
    /// # Errors
    /// As for [`Answers::render_attribute`].
    pub fn explain_attribute(
        &self,
        attribute: Attribute,
        container: &Container,
    ) -> Result<Vec<Explained>, AnswerError> {
        let bytes = self.render_attribute(attribute, container)?;
        let explainer = Explainer::new(self, container)?;
        let path = format!("/{}", attribute.path());
        let (cpu, nodes) = (explainer.seen_cpus()?, explainer.memory_nodes()?);
        let inputs: Vec<Input> = match attribute.rule() {
            Rule::Fact | Rule::Directory | Rule::Link | Rule::Online | Rule::Zeros | Rule::Zero => {
                Vec::new()
            }
            Rule::SeenNodes | Rule::MemoryNodes | Rule::Distances => nodes,
            Rule::CpuNodes | Rule::NodeList | Rule::Meminfo | Rule::Vmstat => {
                cpu.into_iter().chain(nodes).collect()
            }
            _ => cpu,
        };
        let own = self.read_host_attribute(attribute).unwrap_or_default();
        let own = Input {
            file: path.clone(),
            key: None,
            value: String::from_utf8_lossy(&own)
                .lines()
                .next()
                .unwrap_or("")
                .to_owned(),
        };
        let explained = |line: &str| Explained {
            name: path.clone(),
            value: line.to_owned(),
            formula: attribute.rule().formula().to_owned(),
            decided_by: None,
            inputs: std::iter::once(own.clone()).chain(inputs.clone()).collect(),
        };
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .map(explained)
            .collect())
    }

    /// Explains the bytes of the host's own file at `path` (below `/`) to a process of the host:
    /// each line is the host's own.
    #[must_use]
    pub fn explain_host(path: &str, bytes: &[u8]) -> Vec<Explained> {
        let explained = |line: &str| Explained {
            name: format!("/{path}"),
            value: line.to_owned(),
            formula: "the host's own line, as for every process of the host".to_owned(),
            decided_by: None,
            inputs: Vec::new(),
        };
        String::from_utf8_lossy(bytes)
            .lines()
            .map(explained)
            .collect()
    }
}
