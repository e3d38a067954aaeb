//! Pure. The time of the CPUs that a container sees: busy with the container's own use only.
//!
//! | column | meaning, over any interval |
//! |---|---|
//! | `user`, `nice`, `system` | the cgroup's own use, spread over the seen CPUs; v1: on the CPU that it ran on, if that CPU is seen |
//! | `steal` | time for which the quota of the cgroup or of an ancestor throttled the cgroup, as far as it fits; before Linux 6.6 the cgroup's part of an ancestor's time is as large as its part of the ancestor's use |
//! | `idle` | the rest: the columns of a CPU grow by exactly the time that has passed |
//! | `iowait` | 0: a cgroup counts for how long its tasks waited for devices (`io.pressure`), but not the part of that time in which a CPU was idle |
//! | `irq`, `softirq` | 0: interrupts are the machine's; where the kernel does not count their time apart, it is part of `system` |
//! | `guest`, `guest_nice`; `nice` on v1 and before Linux 6.11 | 0: no cgroup counts them apart from `user` |
//!
//! | line | meaning |
//! |---|---|
//! | `cpu` | the sum of the lines of every CPU that was ever seen, in whole ticks, as the kernel sums over possible CPUs |
//! | `btime` | see [`time`](super::time) |
//! | `procs_running`, `procs_blocked` | the container's tasks that run, and that wait without being frozen; at least the reader is running |
//! | `intr` | 0 in all, and for the interrupts that every machine has, without the host's hundreds of others: interrupts are the machine's |
//! | `ctxt`, `processes` | 0 in the same format: a cgroup counts neither switches nor forks |
//! | `softirq`, lines of future kernels | 0 in the same format |
//!
//! Use that does not fit (four threads burn a quota of one CPU in a quarter of the period) is owed:
//! later intervals show it.

mod clock;
mod numbers;

pub use clock::{Clock, Times};

use super::{load::Tasks, time::Birth};
use crate::{
    base::units::CpuId,
    facts::host::{self, StatLine},
};

/// Maximum number of interrupts in the line `intr`: those that every machine has (`NR_IRQS_LEGACY`,
/// `include/asm-generic/irq.h` and `arch/x86/include/asm/irq_vectors.h`).
pub const LEGACY_INTERRUPTS: usize = 16;

/// `/proc/stat` of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Line `cpu`: whole ticks.
    pub total: Times,
    /// Lines `cpuN`.
    pub cpus: Vec<(CpuId, Times)>,
    /// Number of columns of those lines.
    pub columns: usize,
    /// Lines after the lines of CPUs.
    pub lines: Vec<StatLine>,
}

/// Returns `/proc/stat` from the clock, the tasks and the birth of a container.
#[must_use]
pub fn stat(clock: &Clock, tasks: &Tasks, birth: Birth, host: &host::Stat) -> Stat {
    let lines = host
        .lines
        .iter()
        .map(|line| StatLine {
            name: line.name.clone(),
            values: match line.name.as_str() {
                "btime" => vec![super::time::btime(
                    birth,
                    host.value("btime").unwrap_or_default(),
                )],
                "procs_running" => vec![tasks.running.max(1)],
                "procs_blocked" => vec![tasks.blocked],
                "intr" => vec![0; line.values.len().min(1 + LEGACY_INTERRUPTS)],
                _ => vec![0; line.values.len()],
            },
        })
        .collect();
    Stat {
        total: clock.total_of_ticks(),
        cpus: clock.cpus().collect(),
        columns: host.columns,
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::{CpuSet, Micros},
        facts::{cgroup::CpuUse, host::parse},
    };

    #[test]
    fn the_first_line_is_the_sum_of_the_lines_of_the_cpus() {
        let host = parse::stat("cpu 9 9 9 9 9 9 9 9\n");
        let cpus = CpuSet::parse("0-2").unwrap();
        let usage = CpuUse {
            user: Micros(1_000_000),
            ..CpuUse::default()
        };
        let clock = Clock::started(&cpus, &usage, Micros(777_777), Micros(777_777));
        let view = stat(&clock, &Tasks::default(), Birth::Offset(0), &host);
        let users = view.cpus.iter().map(|(_, times)| times.user.ticks().0);
        assert_eq!(view.total.user.ticks().0, users.sum::<u64>());
        let idle = view.cpus.iter().map(|(_, times)| times.idle.ticks().0);
        assert_eq!(view.total.idle.ticks().0, idle.sum::<u64>());
    }

    #[test]
    fn nothing_of_the_machines_counters_is_shown() {
        let host = parse::stat(
            "cpu 9 9\ncpu0 9 9\nintr 9 4 5\nctxt 7\nbtime 50\nprocs_running 8\nnew 3\n",
        );
        let tasks = Tasks {
            running: 2,
            ..Tasks::default()
        };
        let now = Micros::ZERO;
        let cpus = CpuSet::parse("0").unwrap();
        let clock = Clock::started(&cpus, &CpuUse::default(), now, now);
        let view = stat(&clock, &tasks, Birth::Started(Micros::ZERO), &host);
        let values: Vec<&[u64]> = view.lines.iter().map(|line| &line.values[..]).collect();
        assert_eq!(values, [&[0, 0, 0][..], &[0], &[50], &[2], &[0]]);
        assert_eq!(view.columns, 2);
    }
}
