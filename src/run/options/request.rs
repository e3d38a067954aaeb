//! Pure. The container that a user requests from `plimsoll run`, and the errors of its options.

use std::path::PathBuf;

use crate::{
    base::units::{Bytes, CpuSet, Limit, Micros, SizeError},
    run::options::security::{Security, SecurityError},
};

/// The limit of processes without `--pids-limit`: Podman's, which stops a fork bomb long before the
/// machine's own limit and leaves room for what a machine of this size runs. Docker has no default.
pub const DEFAULT_PIDS: u64 = 2048;

/// The minimum of `--memory`: less cannot hold our init, the first pages of the program and the
/// page tables.
pub const MIN_MEMORY: Bytes = Bytes(6 << 20);

/// The maximum of `--memory` and `--memory-swap`: no processor addresses more (52 bits).
pub const MAX_MEMORY: Bytes = Bytes(1 << 52);

/// The maximum of `--pids-limit`, beyond which the kernel refuses a limit (`PID_MAX_LIMIT`,
/// include/linux/threads.h).
pub const MAX_PIDS: u64 = 4 << 20;

/// The period of the CPU quota that `--cpus` becomes: the default of Docker and of the kernel.
pub const CPU_PERIOD: Micros = Micros(100_000);

/// A requested container.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The container's name; `None` for a random one.
    pub name: Option<String>,
    /// The host name; `None` for the container's name, or for the host's own with the host's
    /// network.
    pub hostname: Option<String>,
    /// The command and its arguments; empty for a shell.
    pub command: Vec<String>,
    /// The variables of the command's environment, in the order of the options.
    pub environment: Vec<(String, String)>,
    /// The command's working directory, absolute.
    pub directory: PathBuf,
    /// The user that runs the command: `user[:group]`, by name or number; `None` for root.
    pub user: Option<String>,
    /// The limits of the container's resources.
    pub limits: Limits,
    /// The capabilities, filters and limits of the container's processes.
    pub security: Security,
    /// The mounts in the root, in the order of the options.
    pub volumes: Vec<Volume>,
    /// The source of the root.
    pub root: RootSource,
    /// Keep the changes of the root at the end.
    pub keep: bool,
    /// Make the root read-only.
    pub read_only: bool,
    /// The network.
    pub network: Network,
    /// Pass the standard input of `plimsoll run` to the command.
    pub interactive: bool,
    /// Give the command a terminal of its own.
    pub terminal: bool,
    /// The mount point of the host's daemon, if one serves.
    pub mountpoint: PathBuf,
    /// The tree of served files.
    pub tree: TreeSource,
}

/// The tree of served files that a container gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TreeSource {
    /// The tree of the host's daemon, or of an embedded one if the host's does not serve.
    #[default]
    HostOrOwn,
    /// The tree of an embedded daemon.
    Own,
    /// No tree: the container sees the numbers of the host.
    None,
}

/// The limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The limit of memory.
    pub memory: Limit<Bytes>,
    /// The limit of memory and swap together.
    pub swap: Swap,
    /// The limit of CPU time per [`CPU_PERIOD`], summed over all CPUs.
    pub cpu: Limit<Micros>,
    /// The CPUs on which the container may run; `None` for all.
    pub cpuset: Option<CpuSet>,
    /// The limit of processes and threads together.
    pub pids: Pids,
}

/// The limit of processes and threads together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pids {
    /// At most [`DEFAULT_PIDS`], on a machine that can limit processes.
    #[default]
    Default,
    /// The requested limit.
    Requested(Limit<u64>),
}

impl Pids {
    /// Returns the limit.
    #[must_use]
    pub fn limit(self) -> Limit<u64> {
        match self {
            Pids::Default => Limit::At(DEFAULT_PIDS),
            Pids::Requested(limit) => limit,
        }
    }
}

/// The limit of memory and swap together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Swap {
    /// The default of Docker: as much swap as memory.
    #[default]
    LikeMemory,
    /// Any amount of swap.
    Unlimited,
    /// The total, memory included.
    Total(Bytes),
}

/// The source of a container's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RootSource {
    /// The root of the host, copied on write.
    #[default]
    Host,
    /// A directory, written to directly.
    Directory(PathBuf),
    /// Directories as the layers of an overlay, lowest first, copied on write.
    Layers(Vec<PathBuf>),
}

/// A container's network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// A network namespace with only a loopback device.
    #[default]
    None,
    /// The network of the host.
    Host,
}

/// A mount in a container's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The source of the files.
    pub source: VolumeSource,
    /// The absolute path in the container.
    pub target: PathBuf,
    /// Make the mount read-only.
    pub read_only: bool,
}

/// The source of the files in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A file or directory of the host.
    Host(PathBuf),
    /// A fresh directory, which begins with the files of the root and is removed at the end.
    Fresh,
    /// An empty file system in memory.
    Tmpfs {
        /// The options of the file system, as mount(2) takes them.
        options: String,
        /// Programs in it can be executed.
        is_executable: bool,
    },
}

/// The error of an option that contradicts itself, another option, or the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The value is not a size.
    #[error("--{option}")]
    Size {
        /// The option.
        option: &'static str,
        /// The error of the parser.
        source: SizeError,
    },
    /// The memory is below [`MIN_MEMORY`].
    #[error("--memory {0} is too little for a program to start: the minimum is {MIN_MEMORY}")]
    TooLittleMemory(Bytes),
    /// The size is above [`MAX_MEMORY`].
    #[error("--{option} {text}: the maximum is {MAX_MEMORY}")]
    TooMuchMemory {
        /// The option.
        option: &'static str,
        /// The text of the option.
        text: String,
    },
    /// `--memory-swap` without `--memory`.
    #[error("--memory-swap is the total of memory and swap: give --memory too")]
    SwapWithoutMemory,
    /// `--memory-swap` below `--memory`.
    #[error(
        "--memory-swap {total} is the total of memory and swap: it cannot be below --memory {memory}"
    )]
    SwapBelowMemory {
        /// The total of memory and swap.
        total: Bytes,
        /// The limit of memory.
        memory: Bytes,
    },
    /// The value is not a number of CPUs, or exceeds the machine.
    #[error("--cpus {text}: write a number from 0.01 to {count}, the CPUs of this machine")]
    Cpus {
        /// The text of the option.
        text: String,
        /// The number of CPUs of this machine.
        count: usize,
    },
    /// The value is not a list of CPUs, or names a CPU that this machine does not have.
    #[error("--cpuset-cpus {text}: write a list like 0-3,8 of the CPUs of this machine, {machine}")]
    Cpuset {
        /// The text of the option.
        text: String,
        /// The CPUs of this machine.
        machine: CpuSet,
    },
    /// The value is not a limit of processes.
    #[error(
        "--pids-limit {0}: write a number of processes from 2 to {MAX_PIDS}, or -1 for no limit"
    )]
    Pids(String),
    /// The value is not a volume.
    #[error("--{option} {text}: {wrong}")]
    Volume {
        /// The option.
        option: &'static str,
        /// The text of the option.
        text: String,
        /// The mistake, with the correct form.
        wrong: &'static str,
    },
    /// The value is not a name.
    #[error(
        "--{option} {text}: write at most 64 letters and digits, and after the first also {others}"
    )]
    Name {
        /// The option.
        option: &'static str,
        /// The text of the option.
        text: String,
        /// The characters that may follow the first one beside letters and digits.
        others: &'static str,
    },
    /// The variable has no name.
    #[error("--env {0}: write NAME=VALUE, or NAME to pass the value of plimsoll's own environment")]
    Variable(String),
    /// The working directory is not absolute, or contains `..`.
    #[error("--workdir {0}: write an absolute path without ..")]
    Directory(PathBuf),
    /// An option of the container's security has a mistake.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A line of a file of variables has a mistake.
    #[error("--env-file {file}, line {line}: {wrong}")]
    VariableLine {
        /// The file.
        file: PathBuf,
        /// The number of the line, from 1 on.
        line: usize,
        /// The mistake, with the correct form.
        wrong: &'static str,
    },
    /// `--keep` with `--rootfs`.
    #[error(
        "--keep with --rootfs: the container writes to the directory itself, so there are no changes to keep apart"
    )]
    NothingToKeep,
}
