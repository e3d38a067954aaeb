//! `plimsoll run`: the options of the command line, as a request to the bundled runtime.

use anyhow::Context;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use std::{
    env,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use crate::{
    base::{
        config,
        output::{complain, escaped},
        paths, respawn,
        sys::read_named,
        units::Limit,
    },
    facts::host::Machine,
    run::{
        self,
        options::{
            parse,
            request::{Limits, Network, OptionError, Pids, Request, RootSource, TreeSource},
            security::{self, Security},
            volume::{self, VolumeOptions},
        },
    },
};

/// Run a command in a new container that sees its own machine.
///
/// Without --rootfs and --layer the container's root is a copy of this machine's root: every file
/// is there, and the changes of the command are gone at its end.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Run {
    /// The limit of memory: a number and b, k, m, g or t; from 6m to 4096t; -1 for no limit
    #[arg(short, long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<String>,
    /// The limit of memory and swap together; -1 for no limit of swap
    ///
    /// The default is twice the limit of memory.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// The limit of CPU time, as a number of CPUs, like 1.5
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpus: Option<String>,
    /// The CPUs on which the container may run, like 0-3,8
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// The limit of processes and threads together; -1 for no limit [default: 2048]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<String>,
    /// The limit of each process by setrlimit(2), like nofile=1024:4096; -1 for no limit
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Adds a capability, like NET_ADMIN, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drops a capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Changes the confinement: seccomp=unconfined, seccomp=FILE, no-new-privileges=false
    ///
    /// The default is Docker's default filter of system calls and no new privileges. FILE is a
    /// profile of Docker or of the OCI.
    #[arg(long, value_name = "NAME[=VALUE]")]
    security_opt: Vec<String>,
    /// Mounts a file or directory of this machine, or a fresh directory that is removed at the end
    #[arg(short, long, value_name = "SRC:DST[:ro] | DST")]
    volume: Vec<String>,
    /// Mounts as --volume and --tmpfs do, in the words of Docker
    ///
    /// FIELDS are type=bind,src=SRC,dst=DST, and readonly if it is; type=volume,dst=DST; or
    /// type=tmpfs,dst=DST, with tmpfs-size=SIZE and tmpfs-mode=MODE where needed.
    #[arg(long, value_name = "FIELDS")]
    mount: Vec<String>,
    /// Mounts an empty file system in memory, which counts as the container's memory
    ///
    /// OPTIONS are those of Docker, with commas between: size=SIZE, mode=MODE, ro, exec.
    #[arg(long, value_name = "DST[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Sets a variable of the command's environment; NAME alone passes the variable of plimsoll's own environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Reads variables from a file, one on each line; --env prevails
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The command's working directory, created if missing
    #[arg(short, long, value_name = "DIR", default_value = "/")]
    workdir: PathBuf,
    /// The user that runs the command, by name or number in the container
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// The container's host name [default: its --name, or this machine's with --net host]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The container's name [default: a random name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A directory as the root; the command's changes go directly into the directory
    #[arg(long, value_name = "DIR", conflicts_with = "layer")]
    rootfs: Option<PathBuf>,
    /// A directory as a read-only layer of the root; repeatable, the lowest layer first
    #[arg(long, value_name = "DIR")]
    layer: Vec<PathBuf>,
    /// Keeps the changes of the root, and prints their directory at the end; plimsoll kept lists and removes them
    ///
    /// Another container can take this directory as a --layer above the layers of this container. The
    /// kernel takes no layer that lies within another one, so not this directory above /.
    #[arg(long)]
    keep: bool,
    /// Removes the container at its end, which is the default
    #[arg(long, conflicts_with = "keep")]
    rm: bool,
    /// Gives the container a process 1 that forwards signals and reaps orphans, which is the default
    #[arg(long)]
    init: bool,
    /// Makes the root read-only; volumes, /run and /dev/shm stay writable
    #[arg(long)]
    read_only: bool,
    /// The network: none, or this machine's
    #[arg(long, visible_alias = "network", value_enum, default_value_t = NetworkChoice::None)]
    net: NetworkChoice,
    /// Passes standard input to the command; without this option the command's input is empty
    #[arg(short, long)]
    interactive: bool,
    /// Gives the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Runs this program, with CMD and its arguments as the program's arguments
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// The configuration that names the mount point of the host's daemon
    #[arg(long, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
    /// The tree of served files
    #[arg(long = respawn::TREE, hide = true, value_enum, default_value_t = TreeChoice::Any)]
    tree: TreeChoice,
    /// The command and its arguments; no option of plimsoll can follow CMD
    ///
    /// The default is a shell, with -i and -t if standard input and output are a terminal.
    #[arg(value_name = "CMD", trailing_var_arg = true)]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum NetworkChoice {
    None,
    Host,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum TreeChoice {
    Any,
    #[value(name = respawn::OWN_TREE)]
    Own,
    #[value(name = respawn::NO_TREE)]
    None,
}

/// The maximum length of a file of variables, in bytes.
const MAX_VARIABLES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  plimsoll run -m 256M --cpus 1 -- free -m
      prints the memory of a machine with 256 MB and one CPU
  plimsoll run
      starts a shell in a copy of this machine; no change of a file stays
  plimsoll run -v ./src:/src:ro -v /build -w /build -- make -f /src/Makefile
      reads a directory of this machine and builds in a fresh one
  plimsoll run --layer ./debian --layer ./app --keep --name app -- /app/setup
      runs in a root of layers, and keeps the changes for a later --layer
  plimsoll run -it -u www-data --net host --rootfs ./debian -- bash
      runs as another user with a terminal and this machine's network; changes
      stay in the root

Exit status:
  The status of the command; 128 and the signal's number if a signal ended the
  command; 127 if the command is not found; 126 if the command cannot be run;
  125 if the container cannot be started.

Signals:
  The command gets TERM, INT, QUIT, HUP, USR1, USR2, ALRM and WINCH. The
  command is not process 1 of the container, so these signals act as outside
  of a container. The death of plimsoll run kills the container.

Security:
  The container has the capabilities of docker run but CAP_MKNOD, Docker's
  default filter of system calls, a session keyring of its own and at most
  2048 processes, and programs like sudo give no privileges. So it can make no
  namespaces and mounts, and cannot run containers itself. It can open no
  devices but null, zero, full, random, urandom and terminals; on cgroup v2
  --cap-add MKNOD gives it every device of this machine. Root in the container
  can read every file of a root that the container shares with this machine.";

/// Options of Docker that `plimsoll run` does not have, each with the way to the same end.
const ADVICE: [(&str, &str); 8] = [
    ("-d", BACKGROUND),
    ("--detach", BACKGROUND),
    ("-p", PORTS),
    ("--publish", PORTS),
    ("--expose", PORTS),
    (
        "--privileged",
        "write --cap-add ALL --security-opt seccomp=unconfined",
    ),
    (
        "--restart",
        "write Restart= in a unit of systemd that calls plimsoll run",
    ),
    ("--cpu-shares", "write --cpus"),
];

const BACKGROUND: &str =
    "plimsoll run ends with its command; for the background write systemd-run plimsoll run ...";
const PORTS: &str =
    "a container has no network; with --net host its ports are those of this machine";

/// Returns the way to the end of an option of Docker, if `error` refuses such an option of
/// `plimsoll run`.
pub(super) fn advice(error: &clap::Error) -> Option<&'static str> {
    if env::args_os().nth(1)? != "run" || error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let ContextValue::String(option) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    let found = ADVICE.iter().find(|(name, _)| name == option);
    found.map(|(_, advice)| *advice)
}

impl Run {
    /// Runs the container and returns the exit status of its command.
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let request = self.request()?;
        let exit = run::run(request)?;
        if let Some(kept) = exit.kept {
            let kept = escaped(&kept);
            complain(&format!("the container's changes are kept in {kept}"));
        }
        Ok(exit.status)
    }

    fn request(self) -> anyhow::Result<Request> {
        let limits = self.limits()?;
        let mountpoint = config::read(&self.config)?.mountpoint;
        let volumes = volume::volumes(&VolumeOptions {
            volume: &self.volume,
            mount: &self.mount,
            tmpfs: &self.tmpfs,
        })?;
        let environment = self.environment()?;
        let security = self.security()?;
        // An empty program is none, as Docker has it.
        let entrypoint = self.entrypoint.filter(|program| !program.is_empty());
        let is_shell = self.command.is_empty() && entrypoint.is_none();
        let is_typed =
            is_shell && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let root = match (self.rootfs, self.layer) {
            (Some(_), _) if self.keep => return Err(OptionError::NothingToKeep.into()),
            (Some(directory), _) => RootSource::Directory(directory),
            (None, layers) if !layers.is_empty() => RootSource::Layers(layers),
            (None, _) => RootSource::Host,
        };
        Ok(Request {
            name: self.name.as_deref().map(parse::name).transpose()?,
            hostname: self.hostname.as_deref().map(parse::hostname).transpose()?,
            command: entrypoint.into_iter().chain(self.command).collect(),
            environment,
            directory: parse::directory(&self.workdir)?,
            user: self.user,
            limits,
            security,
            volumes,
            root,
            keep: self.keep,
            read_only: self.read_only,
            network: match self.net {
                NetworkChoice::None => Network::None,
                NetworkChoice::Host => Network::Host,
            },
            interactive: self.interactive || is_typed,
            terminal: self.tty || is_typed,
            mountpoint,
            tree: match self.tree {
                TreeChoice::Any => TreeSource::HostOrOwn,
                TreeChoice::Own => TreeSource::Own,
                TreeChoice::None => TreeSource::None,
            },
        })
    }

    /// Returns the variables of the files and then those of the options, whose values prevail.
    fn environment(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut variables = Vec::new();
        for file in &self.env_file {
            let text = read_named(file, MAX_VARIABLES);
            let text =
                text.with_context(|| format!("--env-file: cannot read {}", file.display()))?;
            variables.extend(parse::variables(&text, file)?);
        }
        for text in &self.env {
            variables.push(parse::variable(text)?);
        }
        let resolved = variables.into_iter().filter_map(|(name, value)| {
            let value = value.or_else(|| env::var(&name).ok())?;
            Some((name, value))
        });
        Ok(resolved.collect())
    }

    fn security(&self) -> anyhow::Result<Security> {
        let mut security = Security::default();
        if !self.cap_add.is_empty() || !self.cap_drop.is_empty() {
            let available = run::available_capabilities()?;
            let wanted = security::capabilities(&self.cap_add, &self.cap_drop, available);
            security.capabilities = wanted?;
        }
        for text in &self.security_opt {
            security::security_option(text, &mut security)?;
        }
        for text in &self.ulimit {
            let (kind, limits) = security::ulimit(text)?;
            security.ulimits.insert(kind, limits);
        }
        Ok(security)
    }

    fn limits(&self) -> anyhow::Result<Limits> {
        let machine = Machine::at(Path::new("/"))?.online()?;
        let memory = self.memory.as_deref().map(parse::memory).transpose()?;
        let memory = memory.unwrap_or_default();
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
            pids: pids.map_or(Pids::Default, Pids::Requested),
        })
    }
}
