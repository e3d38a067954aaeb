//! The state of the daemon: what readers get, since when, and for how many containers. Every question
//! has a timeout, so that neither a dead daemon nor one that hangs keeps the answer.

use super::{
    doctor::{DaemonState, Finding, Level, ReadResult, RestartedBy, judge_daemon, read_daemon},
    ps::count_with_view,
};
use crate::{
    base::{
        mountinfo,
        paths::FS_TYPE,
        sys,
        units::{Micros, Pid},
    },
    facts::host::{Machine, parse},
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The time from the start of a keeper to that of its first daemon, at most.
const FIRST_START: Micros = Micros(2_000_000);

/// The fate of a read below a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// A daemon answers.
    Serves,
    /// The daemon is dead: reads fail.
    Dead,
    /// The daemon hangs: reads wait.
    Hangs,
    /// No daemon: nothing is mounted.
    Absent,
    /// Another file system is mounted there.
    Foreign,
}

impl ServiceState {
    /// Returns the exit status of `plimsoll status`.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            ServiceState::Serves => 0,
            ServiceState::Dead => 1,
            ServiceState::Hangs => 2,
            ServiceState::Absent => 3,
            ServiceState::Foreign => 4,
        }
    }

    fn of(state: &DaemonState) -> ServiceState {
        match (state.mounted.as_deref(), state.read) {
            (None, _) => ServiceState::Absent,
            (Some(kind), _) if kind != FS_TYPE => ServiceState::Foreign,
            (Some(_), ReadResult::Good) => ServiceState::Serves,
            (Some(_), ReadResult::Hangs) if state.process.is_some() => ServiceState::Hangs,
            (Some(_), _) => ServiceState::Dead,
        }
    }
}

/// The containers that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ServedContainers {
    /// All containers that this user may see.
    pub running: usize,
    /// The containers among them that have files of the view.
    pub served: usize,
}

/// The starts of a daemon in the place of one that had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restarts {
    /// The number since systemd started the unit; `None` under a keeper, which does not count.
    pub count: Option<u64>,
    /// The date of the last one.
    pub last: Option<String>,
}

/// The state of the daemon, as programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DaemonStatus {
    /// The fate of a read.
    pub state: ServiceState,
    /// The mount point.
    pub mountpoint: PathBuf,
    /// The pid of the daemon.
    pub pid: Option<Pid>,
    /// The version of the daemon; `None` where this user may not ask for it.
    pub version: Option<String>,
    /// The version of this program.
    pub program_version: &'static str,
    /// The program that starts the next daemon when this one dies: `systemd` or `keeper`.
    pub supervisor: Option<&'static str>,
    /// The date of the daemon's start.
    pub since: Option<String>,
    /// The seconds since the daemon's start.
    pub seconds: Option<u64>,
    /// The containers; `None` if the processes of the machine cannot be listed.
    pub containers: Option<ServedContainers>,
    /// The restarts; `None` if there was none, or nobody knows.
    pub restarts: Option<Restarts>,
    /// The findings of `plimsoll doctor` about the daemon.
    pub findings: Vec<Finding>,
}

/// Finds out the state of the daemon at `mountpoint`. `is_configured` is true for the mount point of the
/// configuration, which the unit serves.
///
/// # Errors
/// When the mounts of this process cannot be read.
pub fn status(mountpoint: &Path, is_configured: bool) -> Result<DaemonStatus> {
    let mounts = mountinfo::own().context("cannot read the mounts of this process")?;
    let state = read_daemon(Path::new("/"), mountpoint, is_configured, &mounts, true);
    let supervisor = state.process.as_ref().map(|process| process.restarted_by);
    let age = state.process.as_ref().and_then(|process| age(process.pid));
    let since = age.and_then(date_before);
    let counted = count_with_view(mountpoint).ok();
    Ok(DaemonStatus {
        state: ServiceState::of(&state),
        mountpoint: mountpoint.to_owned(),
        pid: state.process.as_ref().map(|process| process.pid),
        version: state
            .process
            .as_ref()
            .and_then(|process| process.version.clone()),
        program_version: env!("CARGO_PKG_VERSION"),
        supervisor: match supervisor {
            Some(RestartedBy::Systemd) => Some("systemd"),
            Some(RestartedBy::Keeper) => Some("keeper"),
            Some(RestartedBy::Nobody) | None => None,
        },
        seconds: age.map(|age| age.0 / Micros::SECOND.0),
        containers: counted.map(|(running, served)| ServedContainers { running, served }),
        restarts: restarts(&state, since.clone()),
        findings: judge_daemon(&state),
        since,
    })
}

/// Returns the restarts of the daemon that was started at `since`.
fn restarts(state: &DaemonState, since: Option<String>) -> Option<Restarts> {
    let process = state.process.as_ref()?;
    match process.restarted_by {
        RestartedBy::Systemd => {
            let count = state.unit.get("NRestarts")?.parse().ok()?;
            (count > 0).then_some(Restarts {
                count: Some(count),
                last: since,
            })
        }
        RestartedBy::Keeper => {
            let (daemon, keeper) = (age(process.pid)?, age(keeper(process.pid)?)?);
            (keeper.less(daemon) > FIRST_START).then_some(Restarts {
                count: None,
                last: since,
            })
        }
        RestartedBy::Nobody => None,
    }
}

/// Returns the keeper that forked the daemon. A keeper that is a child of the daemon is younger, and
/// knows nothing of a daemon before.
fn keeper(daemon: Pid) -> Option<Pid> {
    let read =
        |pid: Pid, name: &str| sys::read_text(Path::new(&format!("/proc/{pid}/{name}"))).ok();
    let parent = parse::parent(&read(daemon, "status")?)?;
    read(parent, "comm")?.contains("plimsoll").then_some(parent)
}

/// Returns the time since the start of a process.
fn age(pid: Pid) -> Option<Micros> {
    let machine = Machine::at(Path::new("/")).ok()?;
    let started = machine.process(pid).ok()?.started;
    Some(sys::since_boot().less(started))
}

fn date_before(age: Micros) -> Option<String> {
    let date = SystemTime::now().checked_sub(Duration::from_micros(age.0))?;
    Some(humantime::format_rfc3339_seconds(date).to_string())
}

impl DaemonStatus {
    /// Returns the state for people, in the form of the findings of `plimsoll doctor`.
    #[must_use]
    pub fn for_people(&self) -> Vec<Finding> {
        let note = |subject: &str, text: String| Finding::new(Level::Note, subject, text);
        let since = self
            .since
            .as_ref()
            .zip(self.seconds)
            .map(|(date, seconds)| {
                let age = humantime::format_duration(Duration::from_secs(seconds));
                note("since", format!("{date}, for {age}"))
            });
        let containers = self.containers.map(|ServedContainers { running, served }| {
            let text = format!("{served} of {running} have files of this view");
            let found = note("containers", text);
            match served < running {
                true => found.fix("plimsoll ps names the others, and why"),
                false => found,
            }
        });
        let restarts = self.restarts.as_ref().map(|restarts| {
            let text = "another daemon ended before this one was started";
            let found = match restarts.count {
                Some(count) => note(
                    "restarts",
                    format!("{count} since the start of the unit; {text}"),
                ),
                None => note("restarts", text.to_owned()),
            };
            match self.supervisor {
                Some("systemd") => found.fix("journalctl -u plimsoll says why"),
                _ => found,
            }
        });
        let more = [since, containers, restarts].into_iter().flatten();
        self.findings.iter().cloned().chain(more).collect()
    }
}
