//! The daemon: its answers, its version, and the program that restarts it.

use super::{
    Finding, Level,
    files::{exists, text},
    probe,
};
use crate::{
    base::{
        mountinfo::Mount,
        paths::{CONFIG_FILE, FS_TYPE},
        units::Pid,
    },
    facts::host::{children, parse::parent},
    serve::daemon,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const UNIT: &str = "plimsoll.service";
/// The descriptors that systemd's store must hold for a successor: the connections, and the state
/// that belongs to them.
const MIN_STORED: u64 = 4;

/// The result of a read of a served file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum ReadResult {
    /// The read gave the file.
    Good,
    /// The read failed, or gave something else.
    Fails,
    /// The read did not return within the timeout.
    Hangs,
    /// No read was tried: nothing of Plimsoll is mounted, or the machine is a captured one.
    Unknown,
}

/// The program that starts the next daemon when this one dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum RestartedBy {
    Systemd,
    Keeper,
    Nobody,
}

/// The process that serves.
#[derive(Debug)]
pub(in crate::ops) struct DaemonProcess {
    pub(in crate::ops) pid: Pid,
    pub(in crate::ops) restarted_by: RestartedBy,
    /// The version of the program; `None` where the program was not asked, or did not answer.
    pub(in crate::ops) version: Option<String>,
}

/// The state of the daemon at one mount point.
#[derive(Debug)]
pub(in crate::ops) struct DaemonState {
    mountpoint: PathBuf,
    /// The type of the file system that is mounted on the mount point.
    pub(in crate::ops) mounted: Option<String>,
    /// The mount point does not exist, on a file system where nobody can make it.
    is_unmakeable: bool,
    pub(in crate::ops) process: Option<DaemonProcess>,
    pub(in crate::ops) read: ReadResult,
    /// The unit is installed, and serves this mount point.
    has_unit: bool,
    /// The properties of the unit, from systemd, by name.
    pub(in crate::ops) unit: BTreeMap<String, String>,
}

pub(in crate::ops) fn read(
    root: &Path,
    mountpoint: &Path,
    is_configured: bool,
    mounts: &[Mount],
    is_here: bool,
) -> DaemonState {
    let mut there = mounts.iter().filter(|mount| mount.point == mountpoint);
    let mounted = there.next_back().map(|mount| mount.kind.clone());
    let read = match (&mounted, is_here) {
        (Some(kind), true) if kind == FS_TYPE => read_served(mountpoint),
        _ => ReadResult::Unknown,
    };
    let units = ["etc", "usr/lib", "lib"].map(|above| format!("{above}/systemd/system/{UNIT}"));
    DaemonState {
        mountpoint: mountpoint.to_owned(),
        mounted,
        is_unmakeable: is_unmakeable(root, mountpoint, mounts),
        process: process(root, mountpoint, is_here),
        read,
        has_unit: is_configured && units.iter().any(|unit| exists(root, unit)),
        unit: match is_here && exists(root, "run/systemd/system") {
            true => unit().unwrap_or_default(),
            false => BTreeMap::new(),
        },
    }
}

/// Returns whether `path` does not exist, and lies on a file system that is mounted read-only.
fn is_unmakeable(root: &Path, path: &Path, mounts: &[Mount]) -> bool {
    let below_root = path.strip_prefix("/").unwrap_or(path);
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    let nearest = above.max_by_key(|mount| mount.point.components().count());
    let is_read_only = |mount: &Mount| {
        let is_ro = |option: &String| option == "ro";
        mount.is_read_only || mount.options.iter().any(is_ro)
    };
    nearest.is_some_and(is_read_only) && !exists(root, &below_root.to_string_lossy())
}

/// Reads a served file of the view at `mountpoint`.
pub(in crate::ops) fn read_served(mountpoint: &Path) -> ReadResult {
    match probe::start_of(&mountpoint.join("proc/meminfo")) {
        Some(Ok(text)) if text.starts_with("MemTotal") => ReadResult::Good,
        Some(_) => ReadResult::Fails,
        None => ReadResult::Hangs,
    }
}

fn process(root: &Path, mountpoint: &Path, is_here: bool) -> Option<DaemonProcess> {
    // A daemon of an older version has its pid in the lock.
    let files = [daemon::pid_path(mountpoint), daemon::lock_path(mountpoint)];
    let pid = files.iter().find_map(|file| {
        let file = file.strip_prefix("/").unwrap_or(file);
        text(root, &file.to_string_lossy())?.parse::<Pid>().ok()
    })?;
    let of = |pid: Pid, name: &str| text(root, &format!("proc/{pid}/{name}"));
    // The lock outlives its holder, whose number another process may have.
    let is_ours = |pid: Pid| of(pid, "comm").is_some_and(|name| name.contains("plimsoll"));
    if !is_ours(pid) {
        return None;
    }
    let status = of(pid, "status").unwrap_or_default();
    // A keeper that was started in the place of one that died is a child.
    let mut kin = children(root, pid).into_iter().chain(parent(&status));
    let restarted_by = if of(pid, "cgroup").is_some_and(|cgroup| cgroup.contains(UNIT)) {
        RestartedBy::Systemd
    } else if kin.any(is_ours) {
        RestartedBy::Keeper
    } else {
        RestartedBy::Nobody
    };
    let version = is_here.then(|| probe::command(format!("/proc/{pid}/exe"), &["--version"]));
    Some(DaemonProcess {
        pid,
        restarted_by,
        version: version.flatten().as_deref().and_then(named_version),
    })
}

/// Returns the version in a text like `plimsoll 0.1.0`.
fn named_version(printed: &str) -> Option<String> {
    Some(printed.split_whitespace().nth(1)?.to_owned())
}

fn unit() -> Option<BTreeMap<String, String>> {
    let properties = "ActiveState,UnitFileState,NFileDescriptorStore,NRestarts";
    let printed = probe::command("systemctl", &["show", "-p", properties, UNIT])?;
    let pairs = printed.lines().filter_map(|line| line.split_once('='));
    Some(
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

impl DaemonState {
    /// Returns whether a reader gets a served file.
    pub(super) fn is_serving(&self) -> bool {
        self.mounted.as_deref() == Some(FS_TYPE) && self.read == ReadResult::Good
    }

    /// Returns whether no view is mounted on the mount point.
    pub(super) fn is_absent(&self) -> bool {
        self.mounted.as_deref() != Some(FS_TYPE)
    }

    fn start(&self) -> String {
        match self.has_unit {
            true => "systemctl start plimsoll".to_owned(),
            false => format!("plimsoll daemon {}", self.mountpoint.display()),
        }
    }

    fn replace(&self) -> String {
        match &self.process {
            Some(process) if process.restarted_by == RestartedBy::Systemd => {
                "systemctl restart plimsoll".to_owned()
            }
            _ => format!("plimsoll daemon --replace {}", self.mountpoint.display()),
        }
    }
}

/// Finds out whether readers get the served files, and whether they will when the daemon dies.
pub(in crate::ops) fn find(service: &DaemonState) -> Vec<Finding> {
    let mut found = vec![served(service)];
    if let Some(process) = &service.process {
        found.extend(lasting(service, process));
    }
    let state = service.unit.get("UnitFileState").map(String::as_str);
    if state == Some("disabled") {
        let text = "systemd does not start the daemon at boot";
        let fix = "systemctl enable plimsoll";
        found.push(Finding::new(Level::Warning, "daemon", text).fix(fix));
    }
    found
}

/// Finds out whether readers get the served files.
fn served(service: &DaemonState) -> Finding {
    let at = service.mountpoint.display();
    let error = |text: String, fix: String| Finding::new(Level::Error, "daemon", text).fix(fix);
    match (service.mounted.as_deref(), service.read, &service.process) {
        (Some(kind), ..) if kind != FS_TYPE => error(
            format!("a file system of type {kind} is mounted on {at}"),
            format!("umount {at}, then {}", service.start()),
        ),
        (None, _, None) => nothing_serves(service),
        (None, _, Some(process)) => error(
            format!(
                "the daemon runs (pid {}), but nothing is mounted on {at}",
                process.pid
            ),
            format!("kill {}, then {}", process.pid, service.start()),
        ),
        (Some(_), ReadResult::Good, None) => {
            let text = format!("a daemon serves {at}, by a process that is not known");
            Finding::new(Level::Ok, "daemon", text)
        }
        (Some(_), ReadResult::Fails, _) | (Some(_), _, None) => error(
            format!(
                "the daemon is dead, and so are its files in every container: reads of {at} fail"
            ),
            service.start(),
        ),
        (Some(_), ReadResult::Hangs, Some(process)) => error(
            format!(
                "the daemon hangs (pid {}): readers of {at} wait",
                process.pid
            ),
            service.replace(),
        ),
        (Some(_), ReadResult::Good | ReadResult::Unknown, Some(process)) => {
            let version = process.version.as_deref().unwrap_or("unknown version");
            let by = match process.restarted_by {
                RestartedBy::Systemd => "under systemd",
                RestartedBy::Keeper => "with a keeper",
                RestartedBy::Nobody => "without a supervisor",
            };
            let text = format!(
                "the daemon serves {at}: {version}, pid {}, {by}",
                process.pid
            );
            Finding::new(Level::Ok, "daemon", text)
        }
    }
}

/// Describes a mount point at which there is no daemon, and finds out whether one can start.
fn nothing_serves(service: &DaemonState) -> Finding {
    let at = service.mountpoint.display();
    let start = service.start();
    let (text, fix) = match service.is_unmakeable {
        true => (
            format!(
                "no daemon can serve {at}: nobody can make that directory on a read-only file system"
            ),
            format!("mountpoint = \"/run/plimsoll-view\" in {CONFIG_FILE}, then {start}"),
        ),
        false => (
            format!("no daemon serves {at}: containers see the machine's files"),
            start,
        ),
    };
    Finding::new(Level::Error, "daemon", text).fix(fix)
}

/// Finds out whether readers would outlive the daemon, and whether the daemon runs this program's
/// version.
fn lasting(service: &DaemonState, process: &DaemonProcess) -> Vec<Finding> {
    let mut found = Vec::new();
    let warn = |text: &str, fix: String| Finding::new(Level::Warning, "daemon", text).fix(fix);
    if process.restarted_by == RestartedBy::Nobody {
        let text = "if the daemon dies, every read in a container fails";
        found.push(warn(
            text,
            "start the daemon without --no-keeper, or as the systemd unit".to_owned(),
        ));
    }
    let held = service.unit.get("NFileDescriptorStore");
    let held = held.and_then(|held| held.parse::<u64>().ok());
    if let Some(held) =
        held.filter(|held| process.restarted_by == RestartedBy::Systemd && *held < MIN_STORED)
    {
        let text = format!(
            "systemd holds {held} of the daemon's {MIN_STORED} descriptors: if the daemon dies, every read in a container fails"
        );
        found.push(warn(&text, "systemctl restart plimsoll".to_owned()));
    }
    let ours = env!("CARGO_PKG_VERSION");
    if let Some(theirs) = process.version.as_deref().filter(|theirs| *theirs != ours) {
        let text = format!("the daemon is version {theirs}, and this program is version {ours}");
        found.push(warn(&text, service.replace()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(restarted_by: RestartedBy) -> DaemonState {
        DaemonState {
            mountpoint: "/var/lib/plimsoll".into(),
            mounted: Some(FS_TYPE.to_owned()),
            is_unmakeable: false,
            process: Some(DaemonProcess {
                pid: Pid(7),
                restarted_by,
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            read: ReadResult::Good,
            has_unit: true,
            unit: BTreeMap::new(),
        }
    }

    fn levels(service: &DaemonState) -> Vec<Level> {
        find(service).iter().map(|found| found.level).collect()
    }

    #[test]
    fn a_daemon_that_serves_and_is_supervised_is_well() {
        use RestartedBy::{Keeper, Nobody, Systemd};
        assert_eq!(levels(&serving(Systemd)), [Level::Ok]);
        assert_eq!(levels(&serving(Keeper)), [Level::Ok]);
        assert_eq!(levels(&serving(Nobody)), [Level::Ok, Level::Warning]);
    }

    #[test]
    fn what_readers_of_a_daemon_that_is_not_well_get_is_an_error_with_its_fix() {
        let none = DaemonState {
            mounted: None,
            process: None,
            ..serving(RestartedBy::Systemd)
        };
        let dead = DaemonState {
            process: None,
            read: ReadResult::Fails,
            ..serving(RestartedBy::Systemd)
        };
        let hangs = DaemonState {
            read: ReadResult::Hangs,
            ..serving(RestartedBy::Systemd)
        };
        let kept = DaemonState {
            read: ReadResult::Hangs,
            ..serving(RestartedBy::Keeper)
        };
        for (service, said, fix) in [
            (none, "no daemon serves", "systemctl start plimsoll"),
            (dead, "the daemon is dead", "systemctl start plimsoll"),
            (hangs, "the daemon hangs", "systemctl restart plimsoll"),
            (
                kept,
                "the daemon hangs",
                "plimsoll daemon --replace /var/lib/plimsoll",
            ),
        ] {
            let found = find(&service).remove(0);
            assert_eq!(found.level, Level::Error);
            assert!(found.finding.starts_with(said), "{found:?}");
            assert_eq!(found.fix.as_deref(), Some(fix));
            assert!(!service.is_serving());
        }
    }

    #[test]
    fn a_mount_point_that_nobody_can_make_is_named_with_another_one() {
        let root = tempfile::tempdir().unwrap();
        let unmakeable = |mounts: &str| {
            let mounts: Vec<Mount> = crate::base::mountinfo::parse(mounts).collect();
            is_unmakeable(root.path(), Path::new("/var/lib/plimsoll"), &mounts)
        };
        let writable = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let read_only = "25 24 8:2 / /var ro - erofs /dev/sda2 ro\n";
        let within = "26 25 0:30 / /var/lib rw - tmpfs tmpfs rw\n";
        assert!(!unmakeable(writable));
        assert!(unmakeable(&format!("{writable}{read_only}")));
        assert!(!unmakeable(&format!("{writable}{read_only}{within}")));
        let service = DaemonState {
            mounted: None,
            process: None,
            is_unmakeable: true,
            ..serving(RestartedBy::Systemd)
        };
        let fix = find(&service).remove(0).fix.unwrap();
        assert!(
            fix.starts_with("mountpoint = \"/run/plimsoll-view\" in "),
            "{fix}"
        );
        std::fs::create_dir_all(root.path().join("var/lib/plimsoll")).unwrap();
        assert!(!unmakeable(&format!("{writable}{read_only}")));
    }

    #[test]
    fn another_version_and_an_empty_store_are_warned_of() {
        let mut service = serving(RestartedBy::Systemd);
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
