//! Why a file says what it says: for each of its lines the formula and what went into it.
//!
//! The lines are those of the answer itself, and the sources are the values that the views compute
//! from, so that the explanation of a line cannot say other than the line.

use super::{AnswerError, Answers, explain_lines::Explainer};
use crate::{
    facts::container::Container,
    view::files::{Attribute, File, Rule},
};
use serde::Serialize;

/// One line of a file, and why it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// What the line is about: its name, or the file's where lines have none.
    pub name: String,
    /// The line's value as the container reads it, without the name.
    pub value: String,
    /// What is computed, in words.
    pub formula: String,
    /// The cgroup whose limit decided, or `the machine`; nothing where there was nothing to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// What went into it.
    pub inputs: Vec<Input>,
}

/// Something that went into a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// The file it was read from, by its path on the host.
    pub file: String,
    /// Which line or key of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What stood there.
    pub value: String,
}

impl Answers {
    /// Why the container reads what it reads from the file, line by line.
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
        let explaining = Explainer::of(self, container)?;
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(|line| explaining.line(file, line)).collect()
    }

    /// Why the container reads what it reads from the attribute, line by line.
    ///
    /// # Errors
    /// As for [`Answers::render_attribute`].
    pub fn explain_attribute(
        &self,
        attribute: Attribute,
        container: &Container,
    ) -> Result<Vec<Explained>, AnswerError> {
        let bytes = self.render_attribute(attribute, container)?;
        let explaining = Explainer::of(self, container)?;
        let path = format!("/{}", attribute.path());
        let (cpu, nodes) = (explaining.seen()?, explaining.mems()?);
        let inputs: Vec<Input> = match attribute.rule() {
            Rule::Fact | Rule::Directory | Rule::Online | Rule::Zeros => Vec::new(),
            Rule::SeenNodes | Rule::MemoryNodes | Rule::Distances => nodes,
            Rule::CpuNodes | Rule::Meminfo => cpu.into_iter().chain(nodes).collect(),
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

    /// Why a process of the host reads these bytes: each line is the host's own.
    #[must_use]
    pub fn explain_host(path: &str, bytes: &[u8]) -> Vec<Explained> {
        let explained = |line: &str| Explained {
            name: format!("/{path}"),
            value: line.to_owned(),
            formula: "the host's own, as for every process of the host".to_owned(),
            decided_by: None,
            inputs: Vec::new(),
        };
        String::from_utf8_lossy(bytes)
            .lines()
            .map(explained)
            .collect()
    }
}
