//! The value of a container, from the typed views that its files are made from.

use super::value::Published;
use crate::{
    facts::container::Container,
    view::answer::{AnswerError, Answers},
};

/// Returns the value of the container now.
///
/// # Errors
/// When neither the present facts of the container nor earlier ones are known.
pub fn published(answers: &Answers, container: &Container) -> Result<Published, AnswerError> {
    let sysinfo = answers.sysinfo(container)?;
    Ok(Published {
        seen: answers.cpus(container)?,
        memory: answers.counter_bounds(container)?,
        shared: sysinfo.shared,
        buffers: sysinfo.buffers,
        loads: Some(sysinfo.loads.sysinfo()),
        tasks: sysinfo.tasks,
        start: answers.start(container),
    })
}
