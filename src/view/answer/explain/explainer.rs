//! The explainer of one container: the formula and the inputs of each line.

use super::{
    explained::{Explained, Input},
    reason::{Reason, proc_input},
};
use crate::{
    base::units::{Bytes, Limit, Micros},
    facts::{
        cgroup::{Fact, Memory, SwapLimit},
        container::{Birth, Container},
        host,
    },
    view::{
        answer::{AnswerError, Answers},
        files::File,
        model::{
            memory::{DecidedSizes, Lowest, MeminfoSource, decided},
            vmstat::VmstatSource,
        },
    },
};
use std::sync::Arc;

/// A container, and the facts that decide about its files.
pub(super) struct Explainer<'a> {
    answers: &'a Answers,
    container: &'a Container,
    memory: Memory,
    decided: DecidedSizes,
    host: Arc<host::Meminfo>,
}

impl<'a> Explainer<'a> {
    /// Reads the facts of the container.
    pub(super) fn new(
        answers: &'a Answers,
        container: &'a Container,
    ) -> Result<Explainer<'a>, AnswerError> {
        let memory = answers.memory_facts(container)?;
        let host = answers.host_meminfo()?;
        Ok(Explainer {
            decided: decided(&memory, &host),
            answers,
            container,
            memory,
            host,
        })
    }

    /// Explains a line of the file.
    pub(super) fn line(&self, file: File, line: &str) -> Result<Explained, AnswerError> {
        let (name, value) = match file {
            File::Meminfo | File::Cpuinfo => line.split_once(':').unwrap_or((line, "")),
            File::Stat | File::Vmstat => line.split_once(' ').unwrap_or((line, "")),
            File::Uptime
            | File::Loadavg
            | File::Swaps
            | File::CpuOnline
            | File::Diskstats
            | File::Slabinfo
            | File::PressureCpu
            | File::PressureMemory
            | File::PressureIo
            | File::PressureIrq => (file.name(), line),
        };
        let (name, value) = (name.trim(), value.trim());
        let reason = match file {
            File::Meminfo => self.meminfo(name),
            File::Vmstat => self.vmstat(name),
            File::Swaps => self.meminfo("SwapTotal").with(self.meminfo("SwapFree").inputs),
            File::Stat => self.stat(name)?,
            File::Cpuinfo | File::CpuOnline => self.cpus(name)?,
            File::Uptime => self.uptime()?,
            File::Loadavg => self.tasks(
                "the kernel's averages of the container's runnable and uninterruptible tasks, sampled every 5 s; running and all tasks; youngest pid",
            ),
            File::Diskstats => {
                Reason::new("the machine's devices that the container used, with the container's own requests; 0 in the other columns")
                    .with(self.cgroup(Fact::Devices, 0, None, "the container's requests"))
            }
            File::Slabinfo => Reason::new("the machine's header; no cgroup counts slabs"),
            File::PressureCpu | File::PressureMemory | File::PressureIo | File::PressureIrq => {
                Reason::new("the pressure file of the container's cgroup, unchanged").with(self.pressure(file, value))
            }
        };
        Ok(self.explained(name, value, reason))
    }

    /// Returns the explanation of a line with that name and value.
    pub(super) fn explained(&self, name: &str, value: &str, reason: Reason) -> Explained {
        Explained {
            name: name.to_owned(),
            value: value.to_owned(),
            formula: reason.formula.to_owned(),
            decided_by: reason.decided.map(|lowest| self.level(lowest)),
            inputs: reason.inputs,
        }
    }

    /// Returns the path on the host of the cgroup that decided; `the machine` if none did.
    fn level(&self, lowest: Lowest) -> String {
        let paths = &self.container.paths;
        let file = lowest
            .steps
            .and_then(|steps| (self.answers.cgroups).origin(paths, Fact::MemoryMax, steps, None));
        match file.as_ref().and_then(|(file, _)| file.parent()) {
            Some(directory) => directory.display().to_string(),
            None => "the machine".to_owned(),
        }
    }

    /// Returns the input that is the fact of the cgroup `steps` above the container's own; `None`
    /// where the kernel has no such file.
    fn cgroup(
        &self,
        fact: Fact,
        steps: usize,
        key: Option<&str>,
        value: impl ToString,
    ) -> Option<Input> {
        let paths = &self.container.paths;
        let (file, key) = self.answers.cgroups.origin(paths, fact, steps, key)?;
        Some(Input {
            file: file.display().to_string(),
            key,
            value: value.to_string(),
        })
    }

    fn used(&self, key: &str) -> Option<Input> {
        self.cgroup(Fact::MemoryStat, 0, Some(key), self.memory.usage.of(key).0)
    }

    fn host(&self, name: &str) -> Input {
        proc_input(
            "meminfo",
            name,
            format!("{} kB", self.host.size(name).kib()),
        )
    }

    pub(super) fn meminfo(&self, name: &str) -> Reason {
        let source = MeminfoSource::of(name);
        let mut reason = Reason::new(source.formula());
        let (decided, own) = match source {
            MeminfoSource::Total => (Some(self.decided.total), "MemTotal"),
            MeminfoSource::Free => (Some(self.decided.free), "MemAvailable"),
            MeminfoSource::Available => (Some(self.decided.available), "MemAvailable"),
            MeminfoSource::SwapTotal => (Some(self.decided.swap_total), "SwapTotal"),
            MeminfoSource::SwapFree => (Some(self.decided.swap_free), "SwapFree"),
            _ => (None, name),
        };
        reason.decided = decided;
        match source {
            MeminfoSource::Total => reason.with([self.host(own)]).with(self.limits(false)),
            MeminfoSource::Free | MeminfoSource::Available => {
                reason.with([self.host(own)]).with(self.limits(true))
            }
            MeminfoSource::SwapTotal | MeminfoSource::SwapFree => {
                reason.with([self.host(own)]).with(self.swaps())
            }
            MeminfoSource::CommitLimit => {
                let names = ["CommitLimit", "SwapTotal", "MemTotal"];
                reason.with(names.map(|name| self.host(name)))
            }
            MeminfoSource::HugePagesTotal
            | MeminfoSource::HugePagesFree
            | MeminfoSource::HugePagesRsvd
            | MeminfoSource::Hugetlb => {
                let count = self.host.count("HugePages_Total");
                reason.with([
                    proc_input("meminfo", "HugePages_Total", count),
                    self.host("Hugepagesize"),
                ])
            }
            MeminfoSource::Fact => reason.with([self.host(name)]),
            source => reason.with(source.keys().iter().filter_map(|key| self.used(key))),
        }
    }

    fn limits(&self, with_use: bool) -> Vec<Input> {
        let mut inputs = Vec::new();
        for level in &self.memory.levels {
            let limits = [(Fact::MemoryMax, level.max), (Fact::MemoryHigh, level.high)];
            for (fact, limit) in limits {
                if let Limit::At(Bytes(limit)) = limit {
                    inputs.extend(self.cgroup(fact, level.steps, None, limit));
                }
            }
            if with_use && level.max.stricter(level.high) != Limit::Unlimited {
                let steps = level.steps;
                let reclaimable = format!("{} reclaimable", level.reclaimable.0);
                inputs.extend(self.cgroup(Fact::MemoryCurrent, steps, None, level.current.0));
                inputs.extend(self.cgroup(Fact::MemoryStat, steps, None, reclaimable));
            }
        }
        inputs
    }

    fn swaps(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        for level in &self.memory.levels {
            let Some(swap) = level.swap else { continue };
            let (SwapLimit::Alone(max) | SwapLimit::WithMemory(max)) = swap.max;
            let max = match max {
                Limit::At(Bytes(max)) => max.to_string(),
                Limit::Unlimited => "no limit".to_owned(),
            };
            inputs.extend(self.cgroup(Fact::SwapMax, level.steps, None, max));
        }
        let own = self.memory.levels.first().and_then(|level| level.swap);
        // On v1 the file counts memory too, and the answer uses the difference.
        let used = own.map(|swap| format!("{} of swap", swap.current.0));
        inputs.extend(used.and_then(|used| self.cgroup(Fact::SwapCurrent, 0, None, used)));
        inputs
    }

    fn vmstat(&self, name: &str) -> Reason {
        let source = VmstatSource::of(name);
        let reason = Reason::new(source.formula());
        match source {
            VmstatSource::Free => {
                let free = self.meminfo("MemFree");
                Reason {
                    formula: reason.formula,
                    ..free
                }
            }
            VmstatSource::Pages(keys) => reason.with(keys.iter().filter_map(|key| self.used(key))),
            VmstatSource::HugePages(key) | VmstatSource::Kib(key) => reason.with(self.used(key)),
            VmstatSource::FilePages => reason.with(
                [self.used("file"), self.used("swapcached")]
                    .into_iter()
                    .flatten(),
            ),
            VmstatSource::SwapCached => reason.with(self.used("swapcached")),
            VmstatSource::Shmem => reason.with(self.used("shmem")),
            VmstatSource::Read | VmstatSource::Written => {
                reason.with(self.cgroup(Fact::Devices, 0, None, "the container's requests"))
            }
            VmstatSource::Hugetlb
            | VmstatSource::EventOr(_)
            | VmstatSource::Events(_)
            | VmstatSource::Event => reason,
        }
    }

    /// Returns the inputs that decide about the seen CPUs.
    pub(super) fn seen_cpus(&self) -> Result<Vec<Input>, AnswerError> {
        let cpu = self.answers.cpu_facts(self.container)?.value.cpu;
        let mut inputs = Vec::new();
        if let Some(cpuset) = &cpu.cpuset {
            inputs.extend(self.cgroup(Fact::Cpus, 0, None, cpuset));
        }
        if let Limit::At(quota) = cpu.quota {
            inputs.extend(self.cgroup(Fact::Quota, cpu.quota_steps, None, quota));
        }
        Ok(inputs)
    }

    /// Returns the inputs that decide about the memory nodes.
    pub(super) fn memory_nodes(&self) -> Result<Vec<Input>, AnswerError> {
        let mems = self.answers.numa_facts(self.container)?.mems.clone();
        let mems = mems.and_then(|mems| self.cgroup(Fact::Mems, 0, None, mems));
        Ok(mems.into_iter().collect())
    }

    fn cpus(&self, name: &str) -> Result<Reason, AnswerError> {
        Ok(match name {
            "processor" | "online" | "cpu number" => Reason::new(
                "the first of the online CPUs in the cpuset, as many as the quota in CPUs, rounded up",
            )
            .with(self.seen_cpus()?),
            "siblings" | "cpu cores" | "# processors" => {
                Reason::new("the seen CPUs of the same package").with(self.seen_cpus()?)
            }
            name => Reason::new("the machine's value for that CPU").with([Input {
                file: "/proc/cpuinfo".to_owned(),
                key: Some(name.to_owned()),
                value: "unchanged".to_owned(),
            }]),
        })
    }

    fn stat(&self, name: &str) -> Result<Reason, AnswerError> {
        let cpu = self.answers.cpu_facts(self.container)?.value.cpu;
        Ok(match name {
            name if name.starts_with("cpu") => {
                let reason = Reason::new(
                    "user, nice, system: the cgroup's own CPU time, spread over the seen CPUs; steal: time throttled by the quota of the cgroup or an ancestor; idle: the rest of the time",
                );
                let total = match &cpu.usage.per_cpu {
                    Some(shares) => shares.iter().map(|share| share.total.0).sum(),
                    None => cpu.usage.user.plus(cpu.usage.system).0,
                };
                let used = self.cgroup(Fact::CpuUse, 0, None, format!("{total} us used"));
                let throttled = |fact, steps, time: Micros| {
                    self.cgroup(fact, steps, None, format!("{} us throttled", time.0))
                };
                let own = match cpu.counts_ancestors {
                    true => Fact::ThrottledLocal,
                    false => Fact::Throttled,
                };
                let own = throttled(own, 0, cpu.usage.throttled);
                let above = cpu.usage.above.iter();
                let above = above
                    .filter_map(|level| throttled(Fact::Throttled, level.steps, level.throttled));
                let inputs = used.into_iter().chain(own).chain(above);
                reason.with(inputs).with(self.seen_cpus()?)
            }
            "btime" => {
                Reason::new("the machine's btime less the offset of the container's time namespace")
                    .with(self.birth())
            }
            "procs_running" | "procs_blocked" => {
                self.tasks("the container's tasks in that state; the reader counts as running")
            }
            _ => Reason::new("0: no cgroup counts it"),
        })
    }

    /// Returns the reason with the container's tasks as its input.
    pub(super) fn tasks(&self, formula: &'static str) -> Reason {
        let tasks = "the tasks of the cgroup and its descendants";
        Reason::new(formula).with(self.cgroup(Fact::Tasks, 0, None, tasks))
    }

    pub(super) fn uptime(&self) -> Result<Reason, AnswerError> {
        let formula = match self.answers.birth(self.container) {
            Birth::Offset(_) => {
                "the boot clock of the container's time namespace; the idle time of the seen CPUs"
            }
            Birth::Started(_) => {
                "now - start of the container's init or oldest process; the idle time of the seen CPUs"
            }
        };
        Ok(Reason::new(formula)
            .with(self.birth())
            .with(self.seen_cpus()?))
    }

    fn birth(&self) -> Option<Input> {
        let pid = self
            .container
            .init
            .map_or("PID".to_owned(), |pid| pid.to_string());
        let (file, key, value) = match self.answers.birth(self.container) {
            Birth::Offset(offset) => ("timens_offsets", "boottime", format!("{offset} us")),
            Birth::Started(since) => ("stat", "starttime", format!("{} us after boot", since.0)),
        };
        Some(Input {
            file: format!("/proc/{pid}/{file}"),
            key: Some(key.to_owned()),
            value,
        })
    }

    fn pressure(&self, file: File, value: &str) -> Option<Input> {
        let (root, path) = self
            .answers
            .cgroups
            .pressure_file(&self.container.paths, file.pressure()?)?;
        let root = root.path().ok()?;
        Some(Input {
            file: root
                .join(path.strip_prefix("/").unwrap_or(&path))
                .display()
                .to_string(),
            key: None,
            value: value.to_owned(),
        })
    }
}
