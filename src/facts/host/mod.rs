//! What the machine says about itself: the facts, as types.

pub mod parse;
mod read;

pub use read::Machine;

use crate::base::units::{Bytes, CpuId, CpuSet, Micros, NodeId};

/// `/proc/meminfo`: its lines in the kernel's order, those that nobody here knows included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meminfo {
    /// The lines.
    pub lines: Vec<MeminfoLine>,
}

/// One line of `/proc/meminfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeminfoLine {
    /// What stands before the colon.
    pub name: String,
    /// What stands after it.
    pub amount: Amount,
}

/// A value in `/proc/meminfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// A size, printed with `kB` after it.
    Size(Bytes),
    /// A bare count (`HugePages_Total`).
    Count(u64),
}

impl Meminfo {
    /// The count in the line `name`; 0 where the kernel has no such line.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        let line = self.lines.iter().find(|line| line.name == name);
        match line.map(|line| line.amount) {
            Some(Amount::Count(count)) => count,
            Some(Amount::Size(_)) | None => 0,
        }
    }

    /// The size in the line `name`; nothing where the kernel has no such line.
    #[must_use]
    pub fn size(&self, name: &str) -> Bytes {
        self.lines
            .iter()
            .find(|line| line.name == name)
            .map_or(Bytes::ZERO, |line| match line.amount {
                Amount::Size(size) => size,
                Amount::Count(_) => Bytes::ZERO,
            })
    }
}

/// `/proc/stat`: which CPUs it lists, and the lines after them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stat {
    /// The CPUs that have a line of their own: those that are online.
    pub cpus: Vec<CpuId>,
    /// How many columns a CPU's line has (10 since Linux 2.6.33).
    pub columns: usize,
    /// The lines after the CPUs', in the kernel's order.
    pub lines: Vec<StatLine>,
}

/// A line of `/proc/stat` that belongs to no CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatLine {
    /// The first word: `intr`, `ctxt`, `btime`, ...
    pub name: String,
    /// The numbers after it.
    pub values: Vec<u64>,
}

impl Stat {
    /// The first number of the line `name`, if the kernel has it.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<u64> {
        self.lines
            .iter()
            .find(|line| line.name == name)
            .and_then(|line| line.values.first().copied())
    }
}

/// `/proc/cpuinfo`: one block for each CPU, and what some architectures print around them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpuinfo {
    /// The blocks, in order.
    pub blocks: Vec<CpuinfoBlock>,
}

/// Lines of `/proc/cpuinfo` up to an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuinfoBlock {
    /// The CPU that the block describes; `None` for a header or a trailer (ARM, POWER, s390).
    pub cpu: Option<CpuId>,
    /// The lines.
    pub lines: Vec<CpuinfoLine>,
    /// Whether an empty line follows; the last lines of some architectures have none.
    pub ended: bool,
}

/// One line of `/proc/cpuinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuinfoLine {
    /// What stands before the colon, without the white space that pads it.
    pub key: String,
    /// The line as it is, without its newline.
    pub text: String,
}

impl CpuinfoLine {
    /// What stands after the colon.
    #[must_use]
    pub fn value(&self) -> &str {
        self.text
            .split_once(':')
            .map_or("", |(_, value)| value.trim())
    }
}

/// A line of `/proc/diskstats`: a device, without what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its numbers, major and minor.
    pub number: (u32, u32),
    /// Its name.
    pub name: String,
    /// How many columns follow the name: 11, since Linux 4.18 15, since 5.5 17.
    pub columns: usize,
}

/// `/proc/vmstat`: the names of its lines, in the kernel's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vmstat {
    /// The names.
    pub names: Vec<String>,
}

/// A memory node that is online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which.
    pub id: NodeId,
    /// The CPUs that belong to it and are online.
    pub cpus: CpuSet,
    /// Whether it has any memory.
    pub has_memory: bool,
}

/// What `/proc/PID/stat` says of a process or thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskStat {
    /// The letter of its state: `R`, `S`, `D`, ...
    pub state: char,
    /// When it started, since the machine's boot.
    pub started: Micros,
}
