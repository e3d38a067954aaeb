//! The command lines with which Plimsoll starts its own program.
//!
//! The command line parser declares its options by the names here, so that a renamed option cannot
//! break a start of our own program.

use super::{
    sys::process,
    units::{Bytes, Micros, Pid},
};
use nix::sys::signal::Signal;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The running program, even where its file was replaced since the start.
pub const PROGRAM: &str = "/proc/self/exe";

/// The signals that a keeper blocks and waits for: each ends the keeper and its daemon.
pub const END_SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// The option of `daemon` that names the daemon for which the new process becomes the keeper.
pub const ADOPT: &str = "adopt";

/// The option of `daemon` that ties a daemon to the process that started it.
pub const EMBEDDED: &str = "embedded";

/// The option of `daemon` with the time after which a silent daemon is replaced.
pub const WATCHDOG: &str = "watchdog";

/// The option of `daemon` with the largest age of an answer.
pub const MAX_AGE: &str = "max-age";

/// The option of every command that names the configuration file.
pub const CONFIG: &str = "config";

/// The option of `attach` that selects the containers with a pending note.
pub const PENDING: &str = "pending";

/// The option of `attach`, `hook` and `repair` that names the mount point of the view.
pub const VIEW: &str = "view";

/// The option of `hook` that fails the start of a container whose files are missing.
pub const REQUIRE: &str = "require";

/// The option of `hook` that includes containers without a limit.
pub const UNLIMITED: &str = "unlimited";

/// The option of `hook` with the time after which the hook stops waiting for the daemon.
pub const HOOK_TIMEOUT: &str = "hook-timeout";

/// The option of `hook` that names the file for the hook's error.
pub const REPORT: &str = "report";

/// The option of `repair` that takes the mounts of a view out of every container.
pub const REMOVE: &str = "remove";

/// The option of `repair` that finds dead mounts.
pub const FIND: &str = "find";

/// The option of `status` that reads the start of one file.
pub const PROBE: &str = "probe";

/// The option of `run` that chooses the tree of served files.
pub const TREE: &str = "tree";

/// The value of [`TREE`] for the tree of an embedded daemon.
pub const OWN_TREE: &str = "own";

/// The value of [`TREE`] for no tree.
pub const NO_TREE: &str = "none";

/// The option of `demo` for its reader in a container.
pub const READER: &str = "reader";

/// The path of this program in a container of `demo`.
pub const DEMO_PROGRAM: &str = "/plimsoll-demo";

/// A start of our own program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Respawn<'a> {
    /// A keeper for a daemon that runs already. The socket to the daemon is standard input.
    Keeper {
        /// The mount point that the daemon serves.
        mountpoint: &'a Path,
        /// The daemon.
        daemon: Pid,
        /// The time after which the keeper replaces a silent daemon, in whole microseconds.
        watchdog: Duration,
        /// The largest age of an answer.
        max_age: Micros,
        /// The configuration file, for the daemons that follow.
        configuration: &'a Path,
    },
    /// A daemon for the one container of `plimsoll run`.
    EmbeddedDaemon {
        /// The mount point that the daemon serves.
        mountpoint: &'a Path,
    },
    /// The attach of every container that started while no daemon served.
    AttachPending {
        /// The mount point of the view.
        view: &'a Path,
        /// The configuration file.
        configuration: &'a Path,
    },
    /// A repair of Plimsoll's mounts in every container.
    Repair(RepairTask<'a>),
    /// The hook of the one container of `plimsoll run`, which must get its files.
    Hook {
        /// The mount point of the view.
        view: &'a Path,
        /// The time after which the hook stops waiting for the daemon.
        timeout: Duration,
        /// The file for the hook's error: the status of a hook does not tell why it failed.
        report: &'a Path,
    },
    /// A container of `demo`.
    DemoContainer(DemoContainer<'a>),
    /// A read of the start of a file whose file system may never answer.
    Probe {
        /// The file.
        file: &'a Path,
    },
}

/// A task of `repair`. `points` are the mount points of the connections of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairTask<'a> {
    /// Take the mounts of the view out of every container.
    Remove {
        /// The mount points.
        points: &'a [PathBuf],
    },
    /// Put mounts of the view in the place of dead ones.
    Replace {
        /// The mount point of the view.
        view: &'a Path,
        /// The mount points.
        points: &'a [PathBuf],
    },
    /// Find dead mounts, and change none.
    Find,
}

/// A container of `demo`: a shell that reads commands from standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoContainer<'a> {
    /// The name of the container.
    pub name: &'a str,
    /// The limit of memory.
    pub memory: Bytes,
    /// The limit of CPU time, as a number of CPUs.
    pub cpus: u32,
    /// The tree of served files: [`OWN_TREE`] or [`NO_TREE`].
    pub tree: &'static str,
    /// The file of this program, which gets the path [`DEMO_PROGRAM`].
    pub program: &'a Path,
}

impl DemoContainer<'_> {
    fn add_to<'args>(&self, args: &'args mut Args) -> &'args mut Args {
        let mut volume = self.program.as_os_str().to_owned();
        volume.push(format!(":{DEMO_PROGRAM}:ro"));
        args.arg("run")
            .flag("interactive")
            .option("name", self.name)
            .option("memory", format!("{}b", self.memory.0))
            .option("cpus", self.cpus.to_string())
            .option(TREE, self.tree)
            .option("volume", volume)
            .arg("--")
            .arg("sh")
    }
}

impl Respawn<'_> {
    /// Returns the arguments after the program's name.
    #[must_use]
    pub fn args(&self) -> Vec<OsString> {
        let mut args = Args::default();
        match *self {
            Respawn::Keeper {
                mountpoint,
                daemon,
                watchdog,
                max_age,
                configuration,
            } => args
                .arg("daemon")
                .arg(mountpoint)
                .option(ADOPT, daemon.to_string())
                .option(WATCHDOG, format!("{}us", watchdog.as_micros()))
                .option(MAX_AGE, format!("{}us", max_age.0))
                .option(CONFIG, configuration),
            Respawn::EmbeddedDaemon { mountpoint } => {
                args.arg("daemon").flag(EMBEDDED).arg(mountpoint)
            }
            Respawn::AttachPending {
                view,
                configuration,
            } => args
                .arg("attach")
                .flag(PENDING)
                .option(VIEW, view)
                .option(CONFIG, configuration),
            Respawn::Repair(RepairTask::Remove { points }) => {
                args.arg("repair").flag(REMOVE).all(points)
            }
            Respawn::Repair(RepairTask::Replace { view, points }) => {
                args.arg("repair").option(VIEW, view).all(points)
            }
            Respawn::Repair(RepairTask::Find) => args.arg("repair").flag(FIND),
            Respawn::Hook {
                view,
                timeout,
                report,
            } => args
                .arg("hook")
                .option(VIEW, view)
                .flag(REQUIRE)
                .flag(UNLIMITED)
                .option(HOOK_TIMEOUT, format!("{}ms", timeout.as_millis()))
                .option(REPORT, report),
            Respawn::DemoContainer(container) => container.add_to(&mut args),
            Respawn::Probe { file } => args.arg("status").option(PROBE, file),
        };
        args.0
    }

    /// Returns the command that starts [`PROGRAM`], with every signal at its default. A keeper starts
    /// with [`END_SIGNALS`] blocked: a keeper that a signal kills before the keeper waits for signals
    /// would be replaced, and the signal would be lost.
    #[must_use]
    pub fn command(&self) -> Command {
        let blocked: &[Signal] = match self {
            Respawn::Keeper { .. } => &END_SIGNALS,
            _ => &[],
        };
        let mut command = Command::new(PROGRAM);
        process::with_fresh_signals(&mut command, blocked).args(self.args());
        command
    }
}

#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    fn arg(&mut self, arg: impl Into<OsString>) -> &mut Args {
        self.0.push(arg.into());
        self
    }

    fn all(&mut self, args: &[PathBuf]) -> &mut Args {
        self.0.extend(args.iter().map(OsString::from));
        self
    }

    fn flag(&mut self, name: &str) -> &mut Args {
        self.arg(format!("--{name}"))
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) -> &mut Args {
        self.flag(name).arg(value)
    }
}
