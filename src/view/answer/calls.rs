//! Answers of the system calls that tell a program of its machine: the numbers of the files.

use super::{answers::Answers, error::AnswerError};
use crate::{
    base::units::{Bytes, CpuSet, Micros, Pid},
    facts::container::Container,
    view::{
        model::{self, load::Averages, memory::CounterBounds, sysinfo::Sysinfo, time::Birth},
        render,
    },
};

/// A system call whose answer tells a program of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemCall {
    /// `sysinfo(2)`: memory, swap, load and uptime.
    Sysinfo,
    /// `sched_getaffinity(2)`: the CPUs that a process may use.
    Affinity,
}

/// Every system call.
pub const SYSTEM_CALLS: [SystemCall; 2] = [SystemCall::Sysinfo, SystemCall::Affinity];

impl SystemCall {
    /// Returns the name by which a user names the call.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SystemCall::Sysinfo => "sysinfo",
            SystemCall::Affinity => "affinity",
        }
    }

    /// Returns the kernel's name of the call.
    #[must_use]
    pub fn kernel_name(self) -> &'static str {
        match self {
            SystemCall::Sysinfo => "sysinfo",
            SystemCall::Affinity => "sched_getaffinity",
        }
    }

    /// Returns the call that a user names by `text`; `None` when there is no such call.
    #[must_use]
    pub fn named(text: &str) -> Option<SystemCall> {
        let mut calls = SYSTEM_CALLS.into_iter();
        calls.find(|call| [call.name(), call.kernel_name()].contains(&text))
    }
}

impl Answers {
    /// Returns the answer of `sysinfo(2)`.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn sysinfo(&self, container: &Container) -> Result<Sysinfo, AnswerError> {
        let meminfo = self.meminfo(container)?;
        let load = self.loadavg(container)?;
        let up = model::time::uptime(self.birth(container), (self.now)());
        Ok(model::sysinfo::sysinfo(&meminfo, &load, up))
    }

    /// Returns the memory sizes to start from for somebody who reads the counters of the cgroups.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn counter_bounds(&self, container: &Container) -> Result<CounterBounds, AnswerError> {
        let host = self.host_meminfo()?;
        let hugetlb = self.hugetlb_facts(container, &host)?;
        let memory = self.memory_facts(container)?;
        Ok(model::memory::bounds(&memory, &hugetlb, &host))
    }

    /// Returns the moment on the machine's boot clock from which the uptime of the container counts; `None`
    /// where the uptime is the kernel's own, that of a time namespace or of the machine.
    #[must_use]
    pub fn start(&self, container: &Container) -> Option<Micros> {
        match self.birth(container) {
            Birth::Started(start) => Some(start),
            Birth::Offset(_) => None,
        }
    }

    /// Returns the answer of `sched_getaffinity(2)` to the process `pid` of the container; without
    /// `pid`, to a process that may use every CPU of the container.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known, or there is no such process.
    pub fn affinity(&self, container: &Container, pid: Option<Pid>) -> Result<CpuSet, AnswerError> {
        let seen = self.cpus(container)?;
        match pid {
            Some(pid) => Ok(model::cpu::affinity(&self.allowed_cpus(pid)?, &seen)),
            None => Ok(seen),
        }
    }

    /// Returns the CPUs that the kernel lets the process use: its own answer of `sched_getaffinity(2)`.
    pub(super) fn allowed_cpus(&self, pid: Pid) -> Result<CpuSet, AnswerError> {
        let online = self.host_online()?;
        let allowed = self.machine.allowed_cpus(pid)?;
        Ok(allowed.map_or_else(|| (*online).clone(), |cpus| cpus.intersection(&online)))
    }

    /// Returns the container's answer of the call as lines for people.
    ///
    /// # Errors
    /// As for [`Answers::sysinfo`] and [`Answers::affinity`].
    pub fn render_call(
        &self,
        call: SystemCall,
        container: &Container,
        pid: Option<Pid>,
    ) -> Result<Vec<u8>, AnswerError> {
        let mut out = Vec::new();
        match call {
            SystemCall::Sysinfo => render::calls::sysinfo(&self.sysinfo(container)?, &mut out),
            SystemCall::Affinity => {
                render::calls::affinity(&self.affinity(container, pid)?, &mut out);
            }
        }
        Ok(out)
    }

    /// Returns the kernel's own answer to the process `pid` of the host, as lines for people; without
    /// `pid`, to a process that may use every CPU.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn read_host_call(
        &self,
        call: SystemCall,
        pid: Option<Pid>,
    ) -> Result<Vec<u8>, AnswerError> {
        let cpus = || -> Result<CpuSet, AnswerError> {
            match pid {
                Some(pid) => self.allowed_cpus(pid),
                None => Ok((*self.host_online()?).clone()),
            }
        };
        let mut out = Vec::new();
        match call {
            SystemCall::Sysinfo => render::calls::sysinfo(&kernels_sysinfo(), &mut out),
            SystemCall::Affinity => render::calls::affinity(&cpus()?, &mut out),
        }
        Ok(out)
    }
}

/// Asks the kernel of this machine.
fn kernels_sysinfo() -> Sysinfo {
    let kernel = rustix::system::sysinfo();
    let size = |count: u64| Bytes(count.saturating_mul(kernel.mem_unit.into()));
    Sysinfo {
        up: Micros::SECOND.times(usize::try_from(kernel.uptime).unwrap_or(0)),
        loads: Averages::of_sysinfo(kernel.loads),
        total: size(kernel.totalram),
        free: size(kernel.freeram),
        shared: size(kernel.sharedram),
        buffers: size(kernel.bufferram),
        swap_total: size(kernel.totalswap),
        swap_free: size(kernel.freeswap),
        tasks: kernel.procs,
    }
}
