//! A task with its cgroups, and the living thread of a process.
//!
//! A process lives on after its main thread has ended (`pthread_exit`). The kernel then shows the main
//! thread in the root of each v1 hierarchy, and in v2 in the cgroup where the thread ended; and the
//! thread has no namespaces but the pid namespace. So the process is looked at through a living thread.

use super::recent::HeldMembership;
use crate::{
    base::{
        sys::ReadError,
        units::{Pid, Tid},
    },
    facts::{cgroup::Membership, host::Machine},
};
use std::path::Path;

/// The maximum number of threads of a process that are read to find a living one. A process can keep
/// threads that have ended, with `ptrace(2)`.
const MAX_THREADS_READ: usize = 64;

/// A task, and its cgroups.
#[derive(Debug)]
pub(super) struct SeenTask {
    pub(super) tid: Tid,
    /// The directory of the task, below `/proc`.
    pub(super) place: String,
    /// `None` if every thread of the process has ended and the kernel hides their cgroups.
    pub(super) membership: Option<HeldMembership>,
}

impl SeenTask {
    /// Reads the cgroups of the thread `tid`, which must not end before the return.
    ///
    /// # Errors
    /// When `/proc/TID/cgroup` cannot be read.
    pub(super) fn calling(tid: Tid, machine: &Machine) -> Result<SeenTask, ReadError> {
        SeenTask::at(tid.to_string(), tid, machine)
    }

    /// Reads the cgroups of a living thread of the process `pid`: the main thread, unless that thread
    /// has ended and another one lives.
    ///
    /// # Errors
    /// When `/proc/PID/cgroup` cannot be read.
    pub(super) fn living(pid: Pid, machine: &Machine) -> Result<SeenTask, ReadError> {
        let main = SeenTask::calling(pid.main_thread(), machine)?;
        // A task that lives now was alive when its cgroups were read.
        let has_ended = main.has_ended(pid, machine);
        let is_hidden = main.is_at_roots_of_v1();
        if !has_ended && !is_hidden {
            return Ok(main);
        }
        let threads = Path::new(&pid.to_string()).join("task");
        let threads = machine.proc().first_directories(&threads, MAX_THREADS_READ);
        let threads = threads.unwrap_or_default().into_iter();
        let other = threads
            .filter_map(|name| name.to_str()?.parse::<Tid>().ok())
            .filter(|tid| *tid != main.tid)
            .filter_map(|tid| SeenTask::at(format!("{pid}/task/{tid}"), tid, machine).ok())
            .find(|task| !task.is_at_roots_of_v1() && !task.has_ended(pid, machine));
        Ok(match other {
            Some(task) => task,
            None if has_ended && is_hidden => SeenTask {
                membership: None,
                ..main
            },
            None => main,
        })
    }

    /// Returns the cgroups as the kernel prints them; `None` if the kernel hides them.
    pub(super) fn cgroups(&self) -> Option<Membership> {
        let held = self.membership.as_ref()?;
        Some(Membership::parse(held.text()))
    }

    fn at(place: String, tid: Tid, machine: &Machine) -> Result<SeenTask, ReadError> {
        Ok(SeenTask {
            membership: Some(HeldMembership::at(&place, machine)?),
            tid,
            place,
        })
    }

    fn is_at_roots_of_v1(&self) -> bool {
        self.cgroups()
            .is_some_and(|cgroups| cgroups.is_at_roots_of_v1())
    }

    fn has_ended(&self, pid: Pid, machine: &Machine) -> bool {
        let stat = machine.thread_of(pid, self.tid);
        stat.is_ok_and(|stat| stat.is_exiting)
    }
}
