//! The daemon: whether it serves, in which version, and who would start the next one.

use super::{Finding, Level, is_there, probe, text};
use crate::{
    base::{mountinfo::Mount, paths::FS_TYPE, units::Pid},
    serve::daemon,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const UNIT: &str = "plimsoll.service";
/// The connections and what a successor has to know of them: so many descriptors.
const HELD: u64 = 4;

/// What a reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The file.
    Good,
    /// An error.
    Fails,
    /// Nothing: it waits.
    None,
    /// It was not asked, for this is a captured machine.
    Unknown,
}

/// Who starts the next daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overseer {
    Systemd,
    Keeper,
    Nobody,
}

/// The process that serves.
#[derive(Debug)]
struct Process {
    pid: Pid,
    overseer: Overseer,
    /// The version of the program that it runs; `None` where it was not asked.
    version: Option<String>,
}

#[derive(Debug)]
pub(super) struct Service {
    mountpoint: PathBuf,
    /// The type of the file system that is mounted there.
    mounted: Option<String>,
    process: Option<Process>,
    answer: Answer,
    /// Whether a unit serves there that is installed.
    has_unit: bool,
    /// What systemd says of the unit, by property.
    unit: BTreeMap<String, String>,
}

pub(super) fn read(
    root: &Path,
    mountpoint: &Path,
    is_configured: bool,
    mounts: &[Mount],
    is_here: bool,
) -> Service {
    let mut there = mounts.iter().filter(|mount| mount.point == mountpoint);
    let mounted = there.next_back().map(|mount| mount.kind.clone());
    let answer = match (&mounted, is_here) {
        (Some(kind), true) if kind == FS_TYPE => answer(mountpoint),
        _ => Answer::Unknown,
    };
    let units = ["etc", "usr/lib", "lib"].map(|above| format!("{above}/systemd/system/{UNIT}"));
    Service {
        mountpoint: mountpoint.to_owned(),
        mounted,
        process: process(root, mountpoint, is_here),
        answer,
        has_unit: is_configured && units.iter().any(|unit| is_there(root, unit)),
        unit: match is_here && is_there(root, "run/systemd/system") {
            true => unit().unwrap_or_default(),
            false => BTreeMap::new(),
        },
    }
}

fn answer(mountpoint: &Path) -> Answer {
    match probe::file(mountpoint.join("proc/meminfo")) {
        Some(Ok(bytes)) if bytes.starts_with(b"MemTotal") => Answer::Good,
        Some(_) => Answer::Fails,
        None => Answer::None,
    }
}

fn process(root: &Path, mountpoint: &Path, is_here: bool) -> Option<Process> {
    let lock = daemon::lock_path(mountpoint);
    let lock = lock.strip_prefix("/").unwrap_or(&lock);
    let pid: Pid = text(root, &lock.to_string_lossy())?.parse().ok()?;
    let of = |pid: Pid, name: &str| text(root, &format!("proc/{pid}/{name}"));
    // The lock outlives its holder, whose number another process may have.
    let is_ours = |pid: Pid| of(pid, "comm").is_some_and(|name| name.contains("plimsoll"));
    if !is_ours(pid) {
        return None;
    }
    let status = of(pid, "status").unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let parent: Option<Pid> = parent.and_then(|parent| parent.trim().parse().ok());
    // A keeper that was started in the place of one that died is a child.
    let mut kin = children(root, pid).into_iter().chain(parent);
    let overseer = if of(pid, "cgroup").is_some_and(|cgroup| cgroup.contains(UNIT)) {
        Overseer::Systemd
    } else if kin.any(is_ours) {
        Overseer::Keeper
    } else {
        Overseer::Nobody
    };
    let version = is_here.then(|| probe::command(format!("/proc/{pid}/exe"), &["--version"]));
    Some(Process {
        pid,
        overseer,
        version: version.flatten().as_deref().and_then(named_version),
    })
}

/// The processes that a process has started, by any of its threads.
fn children(root: &Path, pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(root.join(format!("proc/{pid}/task"))) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list.split_whitespace().map(|pid| pid.parse().ok());
            pids.collect::<Vec<Option<Pid>>>()
        })
        .flatten()
        .collect()
}

/// The version in `plimsoll 0.1.0`.
fn named_version(printed: &str) -> Option<String> {
    Some(printed.split_whitespace().nth(1)?.to_owned())
}

fn unit() -> Option<BTreeMap<String, String>> {
    let properties = "ActiveState,UnitFileState,NFileDescriptorStore";
    let printed = probe::command("systemctl", &["show", "-p", properties, UNIT])?;
    let pairs = printed.lines().filter_map(|line| line.split_once('='));
    Some(
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

impl Service {
    /// Whether readers get answers.
    pub(super) fn is_well(&self) -> bool {
        self.mounted.as_deref() == Some(FS_TYPE) && self.answer == Answer::Good
    }

    fn start(&self) -> String {
        match self.has_unit {
            true => "systemctl start plimsoll".to_owned(),
            false => format!("plimsoll daemon {}", self.mountpoint.display()),
        }
    }

    fn replace(&self) -> String {
        match &self.process {
            Some(process) if process.overseer == Overseer::Systemd => {
                "systemctl restart plimsoll".to_owned()
            }
            _ => format!("plimsoll daemon --replace {}", self.mountpoint.display()),
        }
    }
}

pub(super) fn find(service: &Service) -> Vec<Finding> {
    let mut found = vec![served(service)];
    if let Some(process) = &service.process {
        found.extend(kept(service, process));
    }
    let state = service.unit.get("UnitFileState").map(String::as_str);
    if state == Some("disabled") {
        let text = "systemd does not start it at boot";
        let fix = "systemctl enable plimsoll";
        found.push(Finding::new(Level::Warning, "daemon", text).fix(fix));
    }
    found
}

/// What readers get.
fn served(service: &Service) -> Finding {
    let at = service.mountpoint.display();
    let error = |text: String, fix: String| Finding::new(Level::Error, "daemon", text).fix(fix);
    match (service.mounted.as_deref(), service.answer, &service.process) {
        (Some(kind), ..) if kind != FS_TYPE => error(
            format!("a file system of type {kind} is mounted on {at}"),
            format!("unmount it, then {}", service.start()),
        ),
        (None, _, None) => error(
            format!("none serves {at}: containers see the machine's files"),
            service.start(),
        ),
        (None, _, Some(process)) => error(
            format!(
                "it runs (pid {}), but nothing is mounted on {at}",
                process.pid
            ),
            format!("end it, then {}", service.start()),
        ),
        (Some(_), Answer::Good, None) => {
            let text = format!("it serves {at}, by a process that is not known");
            Finding::new(Level::Ok, "daemon", text)
        }
        (Some(_), Answer::Fails, _) | (Some(_), _, None) => error(
            format!("it is dead, and its files in every container are: reads of {at} fail"),
            service.start(),
        ),
        (Some(_), Answer::None, Some(process)) => error(
            format!("it hangs (pid {}): who reads below {at} waits", process.pid),
            service.replace(),
        ),
        (Some(_), Answer::Good | Answer::Unknown, Some(process)) => {
            let version = process
                .version
                .as_deref()
                .unwrap_or("of an unknown version");
            let by = match process.overseer {
                Overseer::Systemd => "under systemd",
                Overseer::Keeper => "with a keeper",
                Overseer::Nobody => "with nobody to watch over it",
            };
            let text = format!("it serves {at}: {version}, pid {}, {by}", process.pid);
            Finding::new(Level::Ok, "daemon", text)
        }
    }
}

/// What would become of the readers if it died, and whether it is the installed program.
fn kept(service: &Service, process: &Process) -> Vec<Finding> {
    let mut found = Vec::new();
    let warn = |text: &str, fix: String| Finding::new(Level::Warning, "daemon", text).fix(fix);
    if process.overseer == Overseer::Nobody {
        let text = "if it dies, every read in a container fails";
        found.push(warn(
            text,
            "start it without --no-keeper, or as the unit".to_owned(),
        ));
    }
    let held = service.unit.get("NFileDescriptorStore");
    let held = held.and_then(|held| held.parse::<u64>().ok());
    if let Some(held) = held.filter(|held| process.overseer == Overseer::Systemd && *held < HELD) {
        let text = format!(
            "systemd holds {held} of its {HELD} descriptors: if it dies, every read in a container fails"
        );
        found.push(warn(&text, "systemctl restart plimsoll".to_owned()));
    }
    let ours = env!("CARGO_PKG_VERSION");
    if let Some(theirs) = process.version.as_deref().filter(|theirs| *theirs != ours) {
        let text = format!("it is version {theirs}, and this program {ours}");
        found.push(warn(&text, service.replace()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(overseer: Overseer) -> Service {
        Service {
            mountpoint: "/var/lib/plimsoll".into(),
            mounted: Some(FS_TYPE.to_owned()),
            process: Some(Process {
                pid: Pid(7),
                overseer,
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            answer: Answer::Good,
            has_unit: true,
            unit: BTreeMap::new(),
        }
    }

    fn levels(service: &Service) -> Vec<Level> {
        find(service).iter().map(|found| found.level).collect()
    }

    #[test]
    fn a_daemon_that_serves_and_is_watched_over_is_well() {
        use Overseer::{Keeper, Nobody, Systemd};
        assert_eq!(levels(&serving(Systemd)), [Level::Ok]);
        assert_eq!(levels(&serving(Keeper)), [Level::Ok]);
        assert_eq!(levels(&serving(Nobody)), [Level::Ok, Level::Warning]);
    }

    #[test]
    fn what_readers_of_a_daemon_that_is_not_well_get_is_an_error_with_its_mend() {
        let none = Service {
            mounted: None,
            process: None,
            ..serving(Overseer::Systemd)
        };
        let dead = Service {
            process: None,
            answer: Answer::Fails,
            ..serving(Overseer::Systemd)
        };
        let hangs = Service {
            answer: Answer::None,
            ..serving(Overseer::Systemd)
        };
        let kept = Service {
            answer: Answer::None,
            ..serving(Overseer::Keeper)
        };
        for (service, said, fix) in [
            (none, "none serves", "systemctl start plimsoll"),
            (dead, "it is dead", "systemctl start plimsoll"),
            (hangs, "it hangs", "systemctl restart plimsoll"),
            (
                kept,
                "it hangs",
                "plimsoll daemon --replace /var/lib/plimsoll",
            ),
        ] {
            let found = find(&service).remove(0);
            assert_eq!(found.level, Level::Error);
            assert!(found.finding.starts_with(said), "{found:?}");
            assert_eq!(found.fix.as_deref(), Some(fix));
            assert!(!service.is_well());
        }
    }

    #[test]
    fn another_version_and_an_empty_store_are_warned_of() {
        let mut service = serving(Overseer::Systemd);
        service.process.as_mut().unwrap().version = Some("0.0.1".to_owned());
        service
            .unit
            .insert("NFileDescriptorStore".to_owned(), "0".to_owned());
        service
            .unit
            .insert("UnitFileState".to_owned(), "disabled".to_owned());
        let expected = [Level::Ok, Level::Warning, Level::Warning, Level::Warning];
        assert_eq!(levels(&service), expected);
    }
}
