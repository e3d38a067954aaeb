//! `plimsoll run`: what was typed, as a request to the bundled runtime.

use std::{
    env, fs,
    io::{IsTerminal, Write},
    path::PathBuf,
};

use anyhow::Context;

use crate::{
    base::{
        config, paths,
        units::{CpuSet, Limit},
    },
    run::{
        self,
        options::{
            parse,
            request::{Limits, Network, OptionError, Request, RootSource},
        },
    },
};

/// Run a command in a new container that sees its own machine.
///
/// Without --rootfs and --layer the container's root is a copy of this machine's: every file
/// is there, and what the command changes is gone at its end.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Run {
    /// The most memory it may use: a number and b, k, m or g; 6m at least
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// The most memory and swap together; -1 for no limit of swap
    ///
    /// Without it, as much swap as memory.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// How many CPUs' time it may use, like 1.5
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpus: Option<String>,
    /// The CPUs it may run on, like 0-3,8
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// The most processes and threads; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<String>,
    /// Mounts a file or directory of this machine, or a fresh directory that is gone at the end
    #[arg(short, long, value_name = "SRC:DST[:ro] | DST")]
    volume: Vec<String>,
    /// Sets a variable of the command's environment; NAME alone hands on the value it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// The command's working directory, made if it is missing
    #[arg(short, long, value_name = "DIR", default_value = "/")]
    workdir: PathBuf,
    /// Who runs the command, by name or number in the container
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// The container's host name; its --name, or this machine's with --net host, if not given
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The container's name; a random one if not given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A directory as the root, written to directly
    #[arg(long, value_name = "DIR", conflicts_with = "layer")]
    rootfs: Option<PathBuf>,
    /// A directory as a layer of the root, which is not changed; repeatable, the lowest first
    #[arg(long, value_name = "DIR")]
    layer: Vec<PathBuf>,
    /// Keeps what the command changes in the root, and says where at the end
    ///
    /// It is a directory that --layer takes, above those of this container.
    #[arg(long)]
    keep: bool,
    /// Lets the command change nothing in the root; volumes, /run and /dev/shm stay writable
    #[arg(long)]
    read_only: bool,
    /// The network: none, or this machine's own
    #[arg(long, visible_alias = "network", value_enum, default_value_t = NetworkChoice::None)]
    net: NetworkChoice,
    /// Hands standard input to the command, which finds it empty otherwise
    #[arg(short, long)]
    interactive: bool,
    /// Gives the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Runs this program, with CMD and ARG as its arguments
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Finds in this configuration where the host's daemon serves
    #[arg(long, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
    /// The command and its arguments; what follows CMD is never an option of ours
    ///
    /// Without it a shell; and if standard input and output are a terminal, -i and -t are set.
    #[arg(value_name = "CMD", trailing_var_arg = true)]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum NetworkChoice {
    None,
    Host,
}

const EXAMPLES: &str = "\
Examples:
  plimsoll run -m 256M --cpus 1 -- free -m
      what a machine of 256 MB and one CPU looks like from inside
  plimsoll run
      a shell in a copy of this machine; nothing it does to files stays
  plimsoll run -m 1G -v ./src:/src:ro -v /build -w /build -- make -f /src/Makefile
      reads a directory of this machine, builds in a fresh one
  plimsoll run --layer ./debian --layer ./app --keep --name app -- /app/setup
      a root of layers; what the command changed is kept for the next --layer
  plimsoll run -it -u www-data --net host --rootfs ./debian -- bash
      a terminal, another user, this machine's network, a root that is written to

Exit status:
  the command's; 128 and the signal's number if a signal ended it; 127 if there is no such
  command, 126 if it cannot be run; 125 if the container could not be started.

Signals:
  TERM, INT, QUIT, HUP, USR1, USR2, ALRM and WINCH are handed to the command, which is not
  process 1 of the container and so ends by them as it would outside. When plimsoll run itself
  is killed, the container is killed with it.

The container has no CAP_MKNOD and no CAP_SYS_ADMIN and opens no devices but null, zero, full,
random, urandom and its terminals; it cannot make containers itself. Its network is none unless
--net host is given. As root it can read every file of a root that it shares with this machine.";

impl Run {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let request = self.request()?;
        let outcome = run::run(request)?;
        if let Some(kept) = outcome.kept {
            let _ = writeln!(
                std::io::stderr(),
                "plimsoll: what it changed is kept in {}",
                kept.display()
            );
        }
        Ok(outcome.status)
    }

    fn request(self) -> anyhow::Result<Request> {
        let limits = self.limits()?;
        let mountpoint = config::read(&self.config)?.mountpoint;
        let volumes: Result<_, _> = self.volume.iter().map(|text| parse::volume(text)).collect();
        let mut environment = Vec::new();
        for text in &self.env {
            let (name, value) = parse::variable(text)?;
            environment.extend(
                value
                    .or_else(|| env::var(&name).ok())
                    .map(|value| (name, value)),
            );
        }
        let shell = self.command.is_empty() && self.entrypoint.is_none();
        let typed = shell && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let root = match (self.rootfs, self.layer) {
            (Some(_), _) if self.keep => return Err(OptionError::NothingToKeep.into()),
            (Some(directory), _) => RootSource::Directory(directory),
            (None, layers) if !layers.is_empty() => RootSource::Layers(layers),
            (None, _) => RootSource::Host,
        };
        Ok(Request {
            name: self.name.as_deref().map(parse::name).transpose()?,
            hostname: self.hostname.as_deref().map(parse::hostname).transpose()?,
            command: self.entrypoint.into_iter().chain(self.command).collect(),
            environment,
            directory: parse::directory(&self.workdir)?,
            user: self.user,
            limits,
            volumes: volumes?,
            root,
            keep: self.keep,
            read_only: self.read_only,
            network: match self.net {
                NetworkChoice::None => Network::None,
                NetworkChoice::Host => Network::Host,
            },
            interactive: self.interactive || typed,
            terminal: self.tty || typed,
            mountpoint,
        })
    }

    fn limits(&self) -> anyhow::Result<Limits> {
        let machine = machine()?;
        let memory = self.memory.as_deref().map(parse::memory).transpose()?;
        let memory = memory.map_or(Limit::Unlimited, Limit::At);
        let swap = self.memory_swap.as_deref();
        let cpu = self.cpus.as_deref();
        let cpu = cpu.map(|text| parse::cpus(text, &machine)).transpose()?;
        let cpuset = self.cpuset_cpus.as_deref();
        let pids = self.pids_limit.as_deref().map(parse::pids).transpose()?;
        Ok(Limits {
            memory,
            swap: swap
                .map(|text| parse::swap(text, memory))
                .transpose()?
                .unwrap_or_default(),
            cpu: cpu.map_or(Limit::Unlimited, Limit::At),
            cpuset: cpuset
                .map(|text| parse::cpuset(text, &machine))
                .transpose()?,
            pids: pids.unwrap_or_default(),
        })
    }
}

/// The CPUs of this machine.
fn machine() -> anyhow::Result<CpuSet> {
    let path = "/sys/devices/system/cpu/online";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    CpuSet::parse(&text).with_context(|| format!("{path} is no list of CPUs"))
}
