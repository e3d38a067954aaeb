//! The call with which this process finds out whether the programs answer. A kernel can load and attach a
//! program that never runs.

use super::{
    kernel::{CallPrograms, ProgramError},
    value::Published,
};
use crate::{
    base::units::{Bytes, CpuSet, Key},
    view::model::memory::CounterBounds,
};
use nix::sched::{CloneFlags, unshare};
use rustix::system::{Sysinfo, sysinfo};
use std::thread;

impl CallPrograms {
    /// Returns whether the program of `sysinfo(2)` answers. `own` is the key of a cgroup in or below which this
    /// process is: for the time of one call, processes there that are not of the host find a wrong number of
    /// tasks.
    ///
    /// # Errors
    /// When the map takes no value, or the kernel gives a thread no mount namespace of its own.
    pub fn are_answering(&self, own: Key) -> Result<bool, ProgramError> {
        let kernels = sysinfo();
        let mark = !kernels.procs | 1;
        self.publish(own, &marked(&kernels, mark))
            .map_err(ProgramError::Publish)?;
        // The programs leave a task in the host's mount namespace to the kernel.
        let asked = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNS).map(|()| sysinfo().procs));
        let answer = asked.join();
        self.withdraw(own).map_err(ProgramError::Publish)?;
        match answer {
            Ok(Ok(tasks)) => Ok(tasks == mark),
            Ok(Err(errno)) => Err(ProgramError::Namespace(errno)),
            Err(_) => Ok(false),
        }
    }
}

/// Returns the kernel's own answer as a value, but for the number of tasks.
fn marked(kernels: &Sysinfo, tasks: u16) -> Published {
    let size = |count: u64| Bytes(count.saturating_mul(kernels.mem_unit.into()));
    Published {
        seen: CpuSet::default(),
        memory: CounterBounds {
            total: size(kernels.totalram),
            free: size(kernels.freeram),
            swap_total: size(kernels.totalswap),
            swap_free: size(kernels.freeswap),
            is_final: true,
        },
        shared: size(kernels.sharedram),
        buffers: size(kernels.bufferram),
        loads: None,
        tasks,
        start: None,
    }
}
