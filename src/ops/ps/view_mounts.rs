//! The mounts of views in containers, and whether the daemons of the views answer.

use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::{FS_TYPE, view_of_source},
        units::Pid,
    },
    facts::engines::{self, RunningContainer},
    inject::repair,
    ops::doctor::{ReadResult, read_served},
};
use nix::unistd::geteuid;
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The time after which the read of a container's mounts is given up: a container can have very many.
const MOUNTS_TIMEOUT: Duration = Duration::from_secs(1);

/// The age from which on the dead mounts of the machine are searched again.
const DEAD_MOUNTS_MAX_AGE: Duration = Duration::from_secs(10);

/// The mounts of the view in a container.
pub(super) enum ViewMounts {
    /// This user may not see the mounts, or the read was given up.
    Unseen,
    /// No mount.
    None,
    /// The devices of the mounts, and the mount point of the view.
    Some(HashSet<String>, PathBuf),
}

/// The views that this process sees, each read at most once.
pub(super) struct Views {
    /// The mounts of this process.
    mounts: Vec<Mount>,
    reads: HashMap<PathBuf, ReadResult>,
}

/// The mount namespaces with dead mounts, as they were found a short time ago.
#[derive(Debug, Default)]
pub(super) struct DeadMountsCache(Option<(Instant, HashSet<PathBuf>)>);

impl Views {
    /// Returns the views among the mounts of this process.
    pub(super) fn among(mounts: Vec<Mount>) -> Views {
        let mut mounts = mounts;
        mounts.retain(|mount| mount.kind == FS_TYPE);
        Views {
            mounts,
            reads: HashMap::new(),
        }
    }

    /// Reads a file of the view at that mount point.
    pub(super) fn read_of(&mut self, view: &Path) -> ReadResult {
        if let Some(known) = self.reads.get(view) {
            return *known;
        }
        let read = match self.mounts.iter().any(|mount| mount.point == view) {
            true => read_served(view),
            false => ReadResult::Fails,
        };
        self.reads.insert(view.to_owned(), read);
        read
    }

    /// Returns the result of a read in a container with mounts of these devices: a read of the view, if
    /// the mounts are of the view that this process sees. Other mounts are examined in the container.
    pub(super) fn read_in(
        &mut self,
        pid: Pid,
        devices: &HashSet<String>,
        view: &Path,
        dead: &mut DeadMountsCache,
    ) -> ReadResult {
        let is_seen = |device: &String| self.mounts.iter().any(|mount| mount.device == *device);
        if devices.iter().all(is_seen) {
            return self.read_of(view);
        }
        match dead.has(pid) {
            true => ReadResult::Fails,
            false => ReadResult::Unknown,
        }
    }
}

impl DeadMountsCache {
    /// Returns whether a mount of Plimsoll in the mount namespace of the process is dead. Only root can
    /// look into the containers.
    fn has(&mut self, pid: Pid) -> bool {
        let is_young = |(at, _): &(Instant, _)| at.elapsed() < DEAD_MOUNTS_MAX_AGE;
        if !self.0.as_ref().is_some_and(is_young) {
            let found = match geteuid().is_root() {
                true => repair::find_dead_mounts().unwrap_or_default(),
                false => Vec::new(),
            };
            let found = found.into_iter().filter_map(|dead| namespace(dead.pid));
            self.0 = Some((Instant::now(), found.collect()));
        }
        let dead = self.0.as_ref().zip(namespace(pid));
        dead.is_some_and(|((_, dead), namespace)| dead.contains(&namespace))
    }
}

/// Counts the containers that run, and those of them that have files of the view at `view`.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub(in crate::ops) fn count_with_view(view: &Path) -> io::Result<(usize, usize)> {
    let running = engines::all(Path::new("/"))?;
    let has_view = |one: &&RunningContainer| {
        let mounts = view_mounts(one.pid);
        matches!(mounts, Ok(Some(ViewMounts::Some(_, found))) if found == view)
    };
    Ok((running.len(), running.iter().filter(has_view).count()))
}

/// Reads the mounts of a view over `/proc` and `/sys` of the process; `None` if the process has ended.
pub(super) fn view_mounts(pid: Pid) -> io::Result<Option<ViewMounts>> {
    let Some(mounts) = mountinfo::of_kind_within(pid, FS_TYPE, MOUNTS_TIMEOUT)? else {
        return Ok(None);
    };
    let is_file =
        |mount: &&Mount| mount.point.starts_with("/proc") || mount.point.starts_with("/sys");
    let mounts: Vec<&Mount> = mounts.iter().filter(is_file).collect();
    let view = mounts
        .iter()
        .find_map(|mount| view_of_source(&mount.source));
    let devices = mounts.iter().map(|mount| mount.device.clone()).collect();
    Ok(Some(match view {
        Some(view) => ViewMounts::Some(devices, view),
        None => ViewMounts::None,
    }))
}

/// Returns the identity of the mount namespace of a process.
fn namespace(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}
