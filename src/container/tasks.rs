//! Counts the tasks of a container.

use super::{Container, pids};
use crate::{
    cgroup::Layout,
    host::{Machine, Tasks},
    sys::ReadError,
};

// So many tasks are looked at one by one; of more, every n-th stands for n.
const MOST: usize = 8192;

/// Counts the tasks of the container's whole subtree; one that ends meanwhile is left out.
///
/// Of very many tasks a part is looked at, which stands for the rest: however many a container
/// starts, its reads cost the others no more than some ten milliseconds.
///
/// # Errors
/// When the container's cgroup cannot be read.
pub fn count(
    container: &Container,
    cgroups: &Layout,
    machine: &Machine,
) -> Result<Tasks, ReadError> {
    let threads = cgroups.threads(&container.place)?;
    let step = threads.len().div_ceil(MOST).max(1);
    let weight = u64::try_from(step).unwrap_or(1);
    let mut tasks = Tasks::default();
    let mut youngest = None;
    for tid in threads.iter().copied().step_by(step) {
        let Ok(task) = machine.thread(tid) else {
            continue;
        };
        tasks.total += weight;
        match task.state {
            'R' => tasks.running += weight,
            'D' => tasks.blocked += weight,
            _ => {}
        }
        youngest = youngest.max(Some((task.started, tid)));
    }
    if let Some((_, tid)) = youngest {
        tasks.last_pid = pids(machine, tid).last().copied().unwrap_or_default();
    }
    Ok(tasks)
}
