//! Counts the tasks of a container.

use super::{Container, Tasks, pids};
use crate::{
    base::{
        sys::ReadError,
        units::{Micros, Pid, Tid},
    },
    facts::{cgroup::Layout, host::Machine},
};

// The tasks that one count reads; of more tasks, every n-th is read and counts n times.
const MAX_TASKS_READ: usize = 8192;

/// The youngest task of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Youngest {
    started: Micros,
    tid: Tid,
    /// The task's id in the container's pid namespace.
    own: Pid,
}

// The kernel shows a task that the freezer holds in state D, and leaves it out of its own load
// (__task_state_index in include/linux/sched.h, task_contributes_to_load before Linux 5.14).
fn is_frozen(machine: &Machine, tid: Tid) -> bool {
    let place = machine.proc_text(format!("{tid}/wchan"));
    place.is_ok_and(|function| function.trim() == "__refrigerator")
}

/// Counts the tasks of the container and its descendants. A task that ends during the count is left
/// out. `youngest` is the youngest task of the last count, and becomes the youngest of this one.
///
/// At most 8192 tasks are read: of more, a regular sample counts for the rest. However many tasks a
/// container starts, a count delays the readers of other containers by no more than some ten
/// milliseconds.
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
    let step = threads.len().div_ceil(MAX_TASKS_READ).max(1);
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
            'D' if !is_frozen(machine, tid) => tasks.blocked += weight,
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
