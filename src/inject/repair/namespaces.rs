//! The mount namespaces of the machine, each entered by a process of its own.

use super::{
    dead::DeadDevices,
    group::{Group, in_turns},
};
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
use std::{
    cell::Cell,
    collections::BTreeMap,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// The time for the first look into a mount namespace. The root of a process there may lie in a file
/// system whose daemon hangs.
const VISIT_TIMEOUT: Duration = Duration::from_millis(300);

/// That time once [`MAX_LATE_VISITS`] namespaces were given up.
const LATE_VISIT_TIMEOUT: Duration = Duration::from_millis(50);

/// The number of namespaces that may take the whole [`VISIT_TIMEOUT`].
const MAX_LATE_VISITS: usize = 3;

/// The time for the second look into a namespace that was given up, after all others.
const SECOND_VISIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The times for the reads of the mounts of a namespace, of which each read but the first follows
/// when the namespaces with a faster one were visited.
const READ_TIMEOUTS: [Duration; 4] = [
    Duration::from_millis(3),
    Duration::from_millis(30),
    Duration::from_millis(300),
    Duration::from_secs(3),
];

/// A mount namespace of the machine with the processes in it.
#[derive(Debug)]
pub(super) struct OccupiedNamespace {
    /// True for the mount namespace of this process.
    pub(super) is_own: bool,
    inode: u64,
    pids: Vec<Pid>,
}

/// One round through the mount namespaces.
#[derive(Debug)]
pub(super) struct Round {
    /// The mounts of this process at the start of the round.
    here: Arc<OwnMounts>,
    /// The moment at which the round ends, whatever is left.
    deadline: Instant,
    late: Cell<usize>,
    /// The file systems that were asked.
    dead: DeadDevices,
}

/// The visits of a round, and the number of namespaces whose mounts it could not read in time.
#[derive(Debug)]
pub(super) struct Visits<T> {
    pub(super) made: Vec<Visit<T>>,
    pub(super) unreached: usize,
}

/// The message of a visit: the result of the work, `None` if there is no such namespace any more, and
/// the answers of file systems.
type Sent<T> = (Result<Option<T>, String>, BTreeMap<String, bool>);

impl Round {
    /// Starts a round that ends within `limit`.
    ///
    /// # Errors
    /// The errors of the read of `/proc/self/mountinfo`.
    pub(super) fn start(limit: Duration) -> io::Result<Round> {
        Ok(Round {
            deadline: Instant::now() + limit,
            here: Arc::new(OwnMounts::read()?),
            late: Cell::new(0),
            dead: DeadDevices::default(),
        })
    }

    /// Calls `work` with each namespace that has mounts of Plimsoll which `is_wanted` accepts, these
    /// mounts, and the file systems that were asked, in a process that may enter the namespace. The
    /// namespaces of one container or user take turns with those of the others, and namespaces that take
    /// long come last.
    ///
    /// The caller must have one thread only.
    ///
    /// # Errors
    /// When the processes of the machine cannot be listed.
    pub(super) fn visit_all<T: Serialize + DeserializeOwned>(
        &self,
        is_wanted: impl Fn(&OccupiedNamespace, &Mount) -> bool,
        work: &impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> T,
    ) -> io::Result<Visits<T>> {
        let (mut made, mut late) = (Vec::new(), Vec::new());
        let mut unread = OccupiedNamespace::all()?;
        for limit in READ_TIMEOUTS {
            let found;
            (found, unread) = self.read(unread, limit, &is_wanted);
            for place in found {
                match self.visit(&place, self.timeout(), work) {
                    Seen::Visited(visit) => made.push(visit),
                    Seen::Ended => {}
                    Seen::Late => {
                        self.late.set(self.late.get() + 1);
                        late.push(place);
                    }
                }
            }
        }
        for place in late {
            match self.visit(&place, SECOND_VISIT_TIMEOUT, work) {
                Seen::Visited(visit) => made.push(visit),
                Seen::Ended => {}
                Seen::Late => made.extend(place.namespace.pids.first().map(|pid| Visit {
                    pid: *pid,
                    result: Err("a file system there does not answer".to_owned()),
                })),
            }
        }
        Ok(Visits {
            made,
            unreached: unread.len(),
        })
    }

    /// Reads the mounts of the namespaces. Returns those with wanted mounts in turns, and those whose
    /// read takes longer than `limit` or that the round does not reach.
    fn read(
        &self,
        namespaces: Vec<OccupiedNamespace>,
        limit: Duration,
        is_wanted: impl Fn(&OccupiedNamespace, &Mount) -> bool,
    ) -> (Vec<Place>, Vec<OccupiedNamespace>) {
        let (mut found, mut slow) = (Vec::new(), Vec::new());
        for namespace in namespaces {
            let left = self.left();
            if left.is_zero() {
                slow.push(namespace);
                continue;
            }
            match namespace.own_mounts(limit.min(left)) {
                Err(_) => slow.push(namespace),
                Ok(None) => {}
                Ok(Some((pid, mut mounts))) => {
                    mounts.retain(|mount| is_wanted(&namespace, mount));
                    if !mounts.is_empty() {
                        let group = Group::of(&mounts, pid);
                        found.push((group, Place { namespace, mounts }));
                    }
                }
            }
        }
        (in_turns(found), slow)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn visit<T: Serialize + DeserializeOwned>(
        &self,
        place: &Place,
        timeout: Duration,
        work: &impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> T,
    ) -> Seen<T> {
        let namespace = &place.namespace;
        for pid in &namespace.pids {
            let timeout = timeout.min(self.left());
            if timeout.is_zero() {
                return Seen::Late;
            }
            let seen = self.in_process((*pid, namespace.inode), (timeout, &place.mounts), work);
            match seen {
                Ok(Some(result)) => {
                    return Seen::Visited(Visit {
                        pid: *pid,
                        result: Ok(result),
                    });
                }
                Ok(None) => {}
                Err(VisitError::Late) => return Seen::Late,
                Err(VisitError::Failed(error)) => {
                    return Seen::Visited(Visit {
                        pid: *pid,
                        result: Err(error),
                    });
                }
            }
        }
        Seen::Ended
    }

    /// Calls `work` in another process, with the namespace of the process `pid` and `mounts` there.
    /// `None` if the process is not in the namespace with that number any more.
    fn in_process<T: Serialize + DeserializeOwned>(
        &self,
        (pid, inode): (Pid, u64),
        (timeout, mounts): (Duration, &[Mount]),
        work: &impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> T,
    ) -> Result<Option<T>, VisitError> {
        let failed = |error: String| VisitError::Failed(error);
        let answer = subprocess::answer(timeout, || {
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
        let answer =
            answer.map_err(|error| failed(format!("cannot start a process: {}", error.desc())))?;
        let answer = answer.ok_or(VisitError::Late)?;
        let sent: Result<Sent<T>, _> = serde_json::from_slice(&answer);
        let (result, asked) =
            sent.map_err(|_| failed("there are too many mounts there".to_owned()))?;
        self.dead.remember(asked);
        result.map_err(failed)
    }

    fn timeout(&self) -> Duration {
        match self.late.get() < MAX_LATE_VISITS {
            true => VISIT_TIMEOUT,
            false => LATE_VISIT_TIMEOUT,
        }
    }
}

/// A namespace with wanted mounts.
#[derive(Debug)]
struct Place {
    namespace: OccupiedNamespace,
    mounts: Vec<Mount>,
}

/// A visit to a mount namespace.
#[derive(Debug)]
pub(super) struct Visit<T> {
    /// The process through which the namespace was seen.
    pub(super) pid: Pid,
    /// The result of the work in the namespace, or the error.
    pub(super) result: Result<T, String>,
}

enum Seen<T> {
    Visited(Visit<T>),
    /// The namespace has no process any more.
    Ended,
    /// The work did not end in time.
    Late,
}

enum VisitError {
    Late,
    Failed(String),
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
    ///
    /// # Errors
    /// When a read of the mounts takes longer than `limit`.
    pub(super) fn own_mounts(&self, limit: Duration) -> io::Result<Option<(Pid, Vec<Mount>)>> {
        for pid in &self.pids {
            match mountinfo::of_kind_within(*pid, FS_TYPE, limit) {
                Ok(Some(mounts)) => return Ok(Some((*pid, mounts))),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                // The process may have ended.
                Ok(None) | Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// Returns the device number of Plimsoll's file system that is mounted last at `point` in this
/// process's mount namespace.
pub(super) fn device(point: &Path) -> Option<String> {
    let mounts = mountinfo::own_of_kind(FS_TYPE).ok()?.into_iter();
    let mut mounts = mounts.filter(|mount| mount.point == point);
    mounts.next_back().map(|mount| mount.device)
}
