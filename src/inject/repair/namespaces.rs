//! The mount namespaces of the machine, each entered by a process of its own.

use super::dead::DeadDevices;
use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::FS_TYPE,
        sys::chain,
        units::Pid,
    },
    inject::{
        namespace::{EnterError, MountNamespace, inode_of, processes},
        own_mounts::OwnMounts,
        subprocess,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{cell::Cell, collections::BTreeMap, io, path::Path, sync::Arc, time::Duration};

/// The time after which the work in one mount namespace is given up, because the root of a process
/// there may lie in a file system whose daemon hangs.
const VISIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The timeout once [`MAX_LATE_VISITS`] namespaces were given up. A supervisor gives a daemon that
/// ends about ten seconds for all namespaces together.
const LATE_VISIT_TIMEOUT: Duration = Duration::from_millis(50);

/// The number of namespaces that may take the whole [`VISIT_TIMEOUT`].
const MAX_LATE_VISITS: usize = 3;

/// A mount namespace of the machine with the processes in it.
#[derive(Debug)]
pub(super) struct OccupiedNamespace {
    /// True for the mount namespace of this process.
    pub(super) is_own: bool,
    inode: u64,
    pids: Vec<Pid>,
}

/// The facts that every visit of one round shares.
#[derive(Debug)]
pub(super) struct Round {
    /// The mounts of this process at the start of the round.
    here: Arc<OwnMounts>,
    late: Cell<usize>,
    /// The file systems that were asked.
    dead: DeadDevices,
}

/// What a visit sends back: the result of the work, `None` if there is no such namespace any more,
/// and the answers of file systems.
type Sent<T> = (Result<Option<T>, String>, BTreeMap<String, bool>);

impl Round {
    /// Reads the mounts of this process.
    ///
    /// # Errors
    /// The errors of the read of `/proc/self/mountinfo`.
    pub(super) fn start() -> io::Result<Round> {
        Ok(Round {
            here: Arc::new(OwnMounts::read()?),
            late: Cell::new(0),
            dead: DeadDevices::default(),
        })
    }

    /// Calls `work` in another process, with the namespace of the process `pid` and `mounts` there.
    /// `None` if the process is not in the namespace with that number any more.
    fn in_process<T: Serialize + DeserializeOwned>(
        &self,
        (pid, inode): (Pid, u64),
        mounts: &[Mount],
        work: &impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> T,
    ) -> Result<Option<T>, String> {
        let answer = subprocess::answer(self.timeout(), || {
            let result = match MountNamespace::seen_from(Arc::clone(&self.here), pid) {
                // The kernel may have given the pid to a process elsewhere.
                Ok(namespace) if namespace.inode != inode => Ok(None),
                Ok(namespace) => Ok(Some(work(&namespace, mounts, &self.dead))),
                Err(EnterError::Ended(_)) => Ok(None),
                Err(error) => Err(chain(&error)),
            };
            let sent: Sent<T> = (result, self.dead.asked());
            serde_json::to_vec(&sent).unwrap_or_default()
        });
        let answer = answer.map_err(|error| format!("cannot start a process: {}", error.desc()))?;
        let Some(answer) = answer else {
            self.late.set(self.late.get() + 1);
            return Err("a file system there does not answer".to_owned());
        };
        let sent: Result<Sent<T>, _> = serde_json::from_slice(&answer);
        let (result, asked) = sent.map_err(|_| "there are too many mounts there".to_owned())?;
        self.dead.remember(asked);
        result
    }

    fn timeout(&self) -> Duration {
        match self.late.get() < MAX_LATE_VISITS {
            true => VISIT_TIMEOUT,
            false => LATE_VISIT_TIMEOUT,
        }
    }
}

/// A visit to a mount namespace.
#[derive(Debug)]
pub(super) struct Visit<T> {
    /// The process through which the namespace was seen.
    pub(super) pid: Pid,
    /// The result of the work in the namespace, or the error.
    pub(super) result: Result<T, String>,
}

impl OccupiedNamespace {
    /// Lists every mount namespace that has a process, this process's own first: its mounts may have
    /// peers in the others, to which a change propagates.
    pub(super) fn all() -> io::Result<Vec<OccupiedNamespace>> {
        let own = inode_of("self");
        let mut found: BTreeMap<u64, OccupiedNamespace> = BTreeMap::new();
        for pid in processes()? {
            let pid = pid?;
            // A process may end, and a kernel thread has no namespace.
            let Some(inode) = inode_of(&pid.to_string()) else {
                continue;
            };
            let namespace = found.entry(inode).or_insert(OccupiedNamespace {
                is_own: Some(inode) == own,
                inode,
                pids: Vec::new(),
            });
            namespace.pids.push(pid);
        }
        let (own, others): (Vec<_>, Vec<_>) = found.into_values().partition(|one| one.is_own);
        Ok([own, others].into_iter().flatten().collect())
    }

    /// Returns a process of the namespace and Plimsoll's mounts there; `None` if the namespace has no
    /// process with mounts any more.
    pub(super) fn own_mounts(&self) -> Option<(Pid, Vec<Mount>)> {
        let read = |pid: &Pid| Some((*pid, mountinfo::of_kind(*pid, FS_TYPE).ok()??));
        self.pids.iter().find_map(read)
    }

    /// Calls `work` with the namespace, Plimsoll's mounts in it that `is_wanted` accepts, and the file
    /// systems that were asked, in a process that may enter the namespace. `None` if there are no such
    /// mounts.
    ///
    /// The caller must have one thread only.
    pub(super) fn visit<T: Serialize + DeserializeOwned>(
        &self,
        round: &Round,
        is_wanted: impl Fn(&Mount) -> bool,
        work: &impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> T,
    ) -> Option<Visit<T>> {
        for pid in &self.pids {
            let pid = *pid;
            let Ok(Some(mut mounts)) = mountinfo::of_kind(pid, FS_TYPE) else {
                continue;
            };
            mounts.retain(&is_wanted);
            if mounts.is_empty() {
                return None;
            }
            let result = round.in_process((pid, self.inode), &mounts, work);
            if let Some(result) = result.transpose() {
                return Some(Visit { pid, result });
            }
        }
        None
    }
}

/// Returns the device number of Plimsoll's file system that is mounted last at `point` in this
/// process's mount namespace.
pub(super) fn device(point: &Path) -> Option<String> {
    let mounts = mountinfo::own_of_kind(FS_TYPE).ok()?.into_iter();
    let mut mounts = mounts.filter(|mount| mount.point == point);
    mounts.next_back().map(|mount| mount.device)
}
