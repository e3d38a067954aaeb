//! Pure. What a user asks of `plimsoll run`, and why it cannot be meant.

use std::path::PathBuf;

use crate::base::units::{Bytes, CpuSet, Limit, Micros, SizeError};

/// The least memory a container starts in: our init, the program's first pages, page tables.
pub const LEAST_MEMORY: Bytes = Bytes(6 << 20);

/// The period in which `--cpus` is counted, docker's and the kernel's default.
pub const PERIOD: Micros = Micros(100_000);

/// A container that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its name; a random one if none is given.
    pub name: Option<String>,
    /// Its host name; its name, or the host's when it shares the host's network, if none is given.
    pub hostname: Option<String>,
    /// The command and its arguments; a shell if there is none.
    pub command: Vec<String>,
    /// The variables of the command's environment, in the order given.
    pub environment: Vec<(String, String)>,
    /// The command's working directory, absolute.
    pub directory: PathBuf,
    /// Who runs the command: `user[:group]`, by name or number.
    pub user: Option<String>,
    /// What it may use.
    pub limits: Limits,
    /// What is mounted into its root.
    pub volumes: Vec<Volume>,
    /// Its root.
    pub root: Root,
    /// Whether what it changed in its root is kept.
    pub keep: bool,
    /// Whether its root cannot be changed.
    pub read_only: bool,
    /// Its network.
    pub network: Network,
    /// Whether standard input is handed to the command.
    pub interactive: bool,
    /// Whether the command gets a terminal.
    pub terminal: bool,
    /// Where the host's daemon serves, if one does.
    pub view: PathBuf,
}

/// Limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory.
    pub memory: Limit<Bytes>,
    /// Memory and swap together.
    pub swap: Swap,
    /// CPU time per [`PERIOD`], over all CPUs.
    pub cpu: Limit<Micros>,
    /// The CPUs it may run on.
    pub cpuset: Option<CpuSet>,
    /// Processes and threads.
    pub pids: Limit<u64>,
}

/// How much memory and swap a container may use together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Swap {
    /// As docker does: as much swap as memory.
    #[default]
    LikeMemory,
    /// Any amount of swap.
    Unlimited,
    /// So much, memory included.
    Total(Bytes),
}

/// Where a container's root comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Root {
    /// The host's own root, copied on write.
    #[default]
    Host,
    /// A directory, written to directly.
    Directory(PathBuf),
    /// Directories on top of each other, lowest first, copied on write.
    Layers(Vec<PathBuf>),
}

/// A container's network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// A network of its own with nothing but a loopback device.
    #[default]
    None,
    /// The host's.
    Host,
}

/// Something mounted into a container's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The file or directory of the host; `None` for a fresh directory thrown away at exit.
    pub source: Option<PathBuf>,
    /// Where it appears, absolute.
    pub target: PathBuf,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// Why what was asked makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A size is none.
    #[error("--{option}")]
    Size {
        /// The option.
        option: &'static str,
        /// Why.
        source: SizeError,
    },
    /// No program starts in so little memory.
    #[error("--memory {0} is too little for a program to start: the least is {LEAST_MEMORY}")]
    TooLittleMemory(Bytes),
    /// `--memory-swap` alone.
    #[error("--memory-swap is the total of memory and swap: give --memory too")]
    SwapWithoutMemory,
    /// `--memory-swap` below `--memory`.
    #[error(
        "--memory-swap {total} is the total of memory and swap: it cannot be below --memory {memory}"
    )]
    SwapBelowMemory {
        /// The total.
        total: Bytes,
        /// The memory.
        memory: Bytes,
    },
    /// A number of CPUs is none, or beyond the machine.
    #[error("--cpus {text}: write a number from 0.01 to {most}, the CPUs of this machine")]
    Cpus {
        /// What was typed.
        text: String,
        /// The CPUs of this machine.
        most: usize,
    },
    /// A list of CPUs is none, or names a CPU that is not there.
    #[error("--cpuset-cpus {text}: write a list like 0-3,8 of the CPUs of this machine, {machine}")]
    Cpuset {
        /// What was typed.
        text: String,
        /// The CPUs of this machine.
        machine: CpuSet,
    },
    /// A number of processes is none.
    #[error("--pids-limit {0}: write a number of processes, at least 2, or -1 for no limit")]
    Pids(String),
    /// A volume is none.
    #[error("--volume {text}: {wrong}")]
    Volume {
        /// What was typed.
        text: String,
        /// What is wrong.
        wrong: &'static str,
    },
    /// A name is none.
    #[error("--{option} {text}: write letters, digits, and inside also {inside}, at most 64")]
    Name {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
        /// What else may stand inside.
        inside: &'static str,
    },
    /// A variable has no name.
    #[error("--env {0}: write NAME=VALUE, or NAME to hand on the value it has here")]
    Variable(String),
    /// A directory is not absolute.
    #[error("--workdir {0}: write an absolute path")]
    Directory(PathBuf),
    /// `--keep` where nothing is thrown away.
    #[error(
        "--keep keeps what a container changed in its layers, but --rootfs is written to directly"
    )]
    NothingToKeep,
}
