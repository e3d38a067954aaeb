//! Counts the tasks of a container.

use super::{Container, Tasks, pids};
use crate::{
    base::{
        sys::ReadError,
        units::{Micros, Pid, Tid},
    },
    facts::{cgroup::Layout, host::Machine},
};

// So many tasks are looked at one by one; of more, every n-th stands for n.
const MOST: usize = 8192;

/// The youngest task of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Youngest {
    started: Micros,
    tid: Tid,
    /// Its id as the container counts them.
    own: Pid,
}

/// Counts the tasks of the container's whole subtree; one that ends meanwhile is left out. `youngest`
/// is the one that was found last, and becomes the one that is found.
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
    youngest: &mut Option<Youngest>,
) -> Result<Tasks, ReadError> {
    let threads = cgroups.threads(&container.paths)?;
    let step = threads.len().div_ceil(MOST).max(1);
    let weight = u64::try_from(step).unwrap_or(1);
    let mut tasks = Tasks::default();
    let mut last = None;
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
        last = last.max(Some((task.started, tid)));
    }
    let is_it = |known: &Youngest| last == Some((known.started, known.tid));
    *youngest = match youngest.filter(is_it) {
        None => last.map(|(started, tid)| Youngest {
            started,
            tid,
            own: pids(machine, tid).last().copied().unwrap_or_default(),
        }),
        known => known,
    };
    tasks.last_pid = youngest.map_or(0, |youngest| youngest.own.0);
    Ok(tasks)
}
