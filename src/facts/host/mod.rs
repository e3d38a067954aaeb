//! The facts of the machine's own files, as types.

pub mod parse;
mod read;

pub use read::{Machine, children};

use crate::base::units::{Bytes, CpuId, CpuSet, Micros, NodeId, NodeSet};

/// The lines of `/proc/meminfo` in the kernel's order, unknown ones included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meminfo {
    /// The lines.
    pub lines: Vec<MeminfoLine>,
    /// Size of a page of memory; zero where it is not known.
    pub page: Bytes,
}

/// A line of `/proc/meminfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeminfoLine {
    /// The text before the colon.
    pub name: String,
    /// The value after the colon.
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
    /// Returns the count in the line `name`; 0 where the kernel has no such line.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        let line = self.lines.iter().find(|line| line.name == name);
        match line.map(|line| line.amount) {
            Some(Amount::Count(count)) => count,
            Some(Amount::Size(_)) | None => 0,
        }
    }

    /// Returns the size in the line `name`; zero where the kernel has no such line.
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

    /// Rounds down to whole pages, in which the kernel counts the memory of a machine.
    #[must_use]
    pub fn whole_pages(&self, size: Bytes) -> Bytes {
        match self.page {
            Bytes::ZERO => size,
            page => Bytes(size.0 - size.0 % page.0),
        }
    }
}

/// `/proc/stat`: the CPUs that it lists, and the lines after them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stat {
    /// The CPUs that have a line of their own: the online CPUs.
    pub cpus: Vec<CpuId>,
    /// The number of columns of a CPU's line (10 since Linux 2.6.33).
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
    /// Returns the first number of the line `name`; `None` where the kernel has no such line.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<u64> {
        self.lines
            .iter()
            .find(|line| line.name == name)
            .and_then(|line| line.values.first().copied())
    }
}

/// `/proc/cpuinfo`: one block for each CPU, and the header or trailer of some architectures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpuinfo {
    /// The blocks, in order.
    pub blocks: Vec<CpuinfoBlock>,
}

/// A run of lines of `/proc/cpuinfo` up to an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuinfoBlock {
    /// The CPU that the block describes; `None` for a header or a trailer (ARM, POWER, s390).
    pub cpu: Option<CpuId>,
    /// The lines.
    pub lines: Vec<CpuinfoLine>,
    /// An empty line follows; the last block of some architectures has none.
    pub ended: bool,
}

/// A line of `/proc/cpuinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuinfoLine {
    /// The text before the colon, without the white space that pads it.
    pub key: String,
    /// The whole line, without its newline.
    pub text: String,
}

impl CpuinfoLine {
    /// Returns the text after the colon.
    #[must_use]
    pub fn value(&self) -> &str {
        self.text
            .split_once(':')
            .map_or("", |(_, value)| value.trim())
    }
}

/// A device in `/proc/diskstats`, without its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The device's numbers, major and minor.
    pub number: (u32, u32),
    /// The device's name.
    pub name: String,
    /// The number of columns after the name: 11, since Linux 4.18 15, since 5.5 17.
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
    /// The node's number.
    pub id: NodeId,
    /// The online CPUs of the node.
    pub cpus: CpuSet,
    /// The node has memory.
    pub has_memory: bool,
}

/// The lists of the machine's memory nodes and CPUs, which change when one is added, removed, or taken
/// online or offline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeLists {
    /// The nodes that are online.
    pub online: NodeSet,
    /// The nodes that have memory.
    pub with_memory: NodeSet,
    /// The CPUs that are online.
    pub cpus: CpuSet,
}

/// The facts of a process or thread in `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskStat {
    /// The letter of the state: `R`, `S`, `D`, ...
    pub state: char,
    /// True when the task ends or has ended: the kernel shows such a task of cgroup v1 in `/`, and
    /// hides its namespaces.
    pub is_exiting: bool,
    /// The time from the machine's boot to the start of the task.
    pub started: Micros,
}
