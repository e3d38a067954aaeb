//! Counts the tasks of a container.

use super::{Container, pids};
use crate::{cgroup::Layout, host::Machine, sys::ReadError};

/// The tasks of a container at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Running or ready to run.
    pub running: u64,
    /// In uninterruptible sleep.
    pub blocked: u64,
    /// All.
    pub total: u64,
    /// The pid of the youngest in its own pid namespace.
    pub last_pid: u32,
}

/// Counts the tasks of the container's whole subtree; one that ends meanwhile is left out.
///
/// # Errors
/// When the container's cgroup cannot be read.
pub fn count(
    container: &Container,
    cgroups: &Layout,
    machine: &Machine,
) -> Result<Census, ReadError> {
    let threads = cgroups.threads(&container.place)?;
    let mut census = Census::default();
    let mut youngest = None;
    for tid in threads {
        let Ok(task) = machine.thread(tid) else {
            continue;
        };
        census.total += 1;
        match task.state {
            'R' => census.running += 1,
            'D' => census.blocked += 1,
            _ => {}
        }
        youngest = youngest.max(Some((task.started, tid)));
    }
    if let Some((_, tid)) = youngest {
        census.last_pid = pids(machine, tid).last().copied().unwrap_or_default();
    }
    Ok(census)
}
