//! Pure. The answer of `sysinfo(2)` to a container, with the numbers that its files have.
//!
//! | field | meaning |
//! |---|---|
//! | `uptime` | `/proc/uptime` in seconds, rounded up as the kernel does (`do_sysinfo`, `kernel/sys.c`) |
//! | `loads` | the averages of `/proc/loadavg`, not rounded |
//! | `totalram`, `freeram`, `sharedram`, `bufferram` | `MemTotal`, `MemFree`, `Shmem` and `Buffers` of `/proc/meminfo` |
//! | `totalswap`, `freeswap` | `SwapTotal` and `SwapFree` of `/proc/meminfo` |
//! | `procs` | all tasks of `/proc/loadavg`, at most 65,535 |
//! | `totalhigh`, `freehigh` | 0: every page of a 64-bit kernel is low memory |
//! | `mem_unit` | 1; the size of a page for a 32-bit caller whose memory or swap is 4 GB or larger |

use super::{
    load::{Averages, Loadavg},
    memory::{Amount, Meminfo},
};
use crate::base::units::{Bytes, Micros};

/// Answer of `sysinfo(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sysinfo {
    /// Uptime.
    pub up: Micros,
    /// Load averages.
    pub loads: Averages,
    /// `totalram`.
    pub total: Bytes,
    /// `freeram`.
    pub free: Bytes,
    /// `sharedram`.
    pub shared: Bytes,
    /// `bufferram`.
    pub buffers: Bytes,
    /// `totalswap`.
    pub swap_total: Bytes,
    /// `freeswap`.
    pub swap_free: Bytes,
    /// `procs`.
    pub tasks: u16,
}

impl Sysinfo {
    /// Returns the field `uptime`, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.up.0.div_ceil(Micros::SECOND.0)
    }
}

/// Returns the answer with the numbers of these files, and this uptime.
#[must_use]
pub fn sysinfo(meminfo: &Meminfo, load: &Loadavg, up: Micros) -> Sysinfo {
    let size = |name: &str| {
        let line = meminfo.lines.iter().find(|line| line.name == name);
        match line.map(|line| line.amount) {
            Some(Amount::Size(size)) => size,
            Some(Amount::Count(_)) | None => Bytes::ZERO,
        }
    };
    Sysinfo {
        up,
        loads: load.averages,
        total: size("MemTotal"),
        free: size("MemFree"),
        shared: size("Shmem"),
        buffers: size("Buffers"),
        swap_total: size("SwapTotal"),
        swap_free: size("SwapFree"),
        tasks: u16::try_from(load.tasks.total).unwrap_or(u16::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::host::parse,
        view::model::load::{Tasks, loadavg},
    };

    fn answer(up: u64, total: u64) -> Sysinfo {
        let text = "MemTotal: 8 kB\nMemFree: 7 kB\nBuffers: 1 kB\nShmem: 2 kB\nSwapTotal: 5 kB\nSwapFree: 4 kB\n";
        let lines = parse::meminfo(text).lines;
        let tasks = Tasks {
            total,
            ..Tasks::default()
        };
        let load = loadavg(Averages::of_numbers([3, 2, 1]), &tasks);
        sysinfo(&Meminfo { lines }, &load, Micros(up))
    }

    #[test]
    fn each_field_has_the_number_of_its_line() {
        let sysinfo = answer(0, 9);
        let sizes = [
            sysinfo.total,
            sysinfo.free,
            sysinfo.buffers,
            sysinfo.shared,
            sysinfo.swap_total,
            sysinfo.swap_free,
        ];
        assert_eq!(sizes.map(Bytes::kib), [8, 7, 1, 2, 5, 4]);
        assert_eq!(sysinfo.loads.numbers(), [3, 2, 1]);
        assert_eq!(sysinfo.tasks, 9);
    }

    #[test]
    fn a_begun_second_counts_and_more_tasks_than_the_field_holds_are_its_maximum() {
        assert_eq!(answer(0, 1).seconds(), 0);
        assert_eq!(answer(1_000_000, 1).seconds(), 1);
        assert_eq!(answer(1_000_001, 1).seconds(), 2);
        assert_eq!(answer(0, 70_000).tasks, 65_535);
    }
}
