//! One round through the mount namespaces: each is entered by a process of its own, several at once.

use super::{
    dead::DeadDevices,
    group::{Group, in_turns},
    namespaces::OccupiedNamespace,
};
use crate::{
    base::{mountinfo::Mount, sys::chain, units::Pid},
    inject::{
        namespace::{EnterError, MountNamespace},
        own_mounts::OwnMounts,
        subprocess::Children,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    io,
    rc::Rc,
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

/// The maximum number of namespaces that are visited at once. Each unmount waits for a grace period of the
/// kernel (`namespace_unlock` in `fs/namespace.c`), in which another visit goes on.
const MAX_VISITS: usize = 16;

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
            // The mounts of this process's own namespace may have peers in the others.
            let (own, others): (Vec<Place>, Vec<Place>) =
                found.into_iter().partition(|place| place.namespace.is_own);
            for places in [own, others] {
                for (place, seen) in self.visit_each(places, || self.timeout(), work) {
                    match seen {
                        Seen::Visited(visit) => made.push(visit),
                        Seen::Ended => {}
                        Seen::Late => late.push(place),
                    }
                }
            }
        }
        for (place, seen) in self.visit_each(late, || SECOND_VISIT_TIMEOUT, work) {
            match seen {
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
                        let place = Place {
                            group,
                            namespace,
                            mounts: mounts.into(),
                        };
                        found.push((group, place));
                    }
                }
            }
        }
        (in_turns(found), slow)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Calls `work` with each namespace, up to [`MAX_VISITS`] at once, in processes that take as long as
    /// `timeout` returns at their start. Namespaces of one group, which may have mounts that propagate to
    /// each other, are visited one after the other.
    fn visit_each<T: Serialize + DeserializeOwned>(
        &self,
        places: Vec<Place>,
        timeout: impl Fn() -> Duration,
        work: &impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> T,
    ) -> Vec<(Place, Seen<T>)> {
        let mut waiting = VecDeque::from(places);
        let mut children = Children::default();
        let mut seen = Vec::new();
        loop {
            while children.working().len() < MAX_VISITS
                && let Some(place) = take_next(&mut waiting, &children)
            {
                let visiting = Visiting { place, at: 0 };
                seen.extend(self.begin(visiting, timeout(), (&mut children, work)));
            }
            let Some((visiting, answer)) = children.first_answer() else {
                return seen;
            };
            match self.read_answer(&visiting, answer) {
                Some(result) => seen.push((visiting.place, result)),
                // That process is not in the namespace any more; the next one may be.
                None => {
                    let next = visiting.next();
                    seen.extend(self.begin(next, timeout(), (&mut children, work)));
                }
            }
        }
    }

    /// Starts a child that calls `work` with the namespace of a process, and the wanted mounts there.
    /// Returns the outcome where no child was started.
    fn begin<T: Serialize + DeserializeOwned>(
        &self,
        visiting: Visiting,
        timeout: Duration,
        (children, work): (
            &mut Children<Visiting>,
            &impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> T,
        ),
    ) -> Option<(Place, Seen<T>)> {
        let Some(pid) = visiting.pid() else {
            return Some((visiting.place, Seen::Ended));
        };
        let timeout = timeout.min(self.left());
        if timeout.is_zero() {
            return Some((visiting.place, Seen::Late));
        }
        let inode = visiting.place.namespace.inode;
        let mounts = Rc::clone(&visiting.place.mounts);
        let begun = children.start(visiting, timeout, || {
            let result = match MountNamespace::seen_from(Arc::clone(&self.here), pid) {
                // The kernel may have given the pid to a process elsewhere.
                Ok(namespace) if namespace.inode != inode => Ok(None),
                Ok(namespace) => Ok(Some(work(&namespace, &mounts, &self.dead))),
                Err(EnterError::Ended(_)) => Ok(None),
                Err(error) => Err(chain(&error)),
            };
            let sent: Sent<T> = (result, self.dead.asked());
            serde_json::to_vec(&sent).unwrap_or_default()
        });
        let (visiting, error) = begun.err()?;
        let result = Err(format!("cannot start a process: {}", error.desc()));
        Some((visiting.place, Seen::Visited(Visit { pid, result })))
    }

    /// Returns what a visit has seen; `None` if the process was not in the namespace any more.
    fn read_answer<T: DeserializeOwned>(
        &self,
        visiting: &Visiting,
        answer: nix::Result<Option<Vec<u8>>>,
    ) -> Option<Seen<T>> {
        let pid = visiting.pid()?;
        let visited = |result| Some(Seen::Visited(Visit { pid, result }));
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                self.late.set(self.late.get() + 1);
                return Some(Seen::Late);
            }
            Err(error) => return visited(Err(format!("cannot hear a process: {}", error.desc()))),
        };
        let Ok((result, asked)) = serde_json::from_slice::<Sent<T>>(&answer) else {
            return visited(Err("there are too many mounts there".to_owned()));
        };
        self.dead.remember(asked);
        match result {
            Ok(Some(result)) => visited(Ok(result)),
            Ok(None) => None,
            Err(error) => visited(Err(error)),
        }
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
    group: Group,
    namespace: OccupiedNamespace,
    mounts: Rc<[Mount]>,
}

/// A namespace that is visited, through the process at that place among those in the namespace.
#[derive(Debug)]
struct Visiting {
    place: Place,
    at: usize,
}

impl Visiting {
    /// Returns the process; `None` behind the last one.
    fn pid(&self) -> Option<Pid> {
        self.place.namespace.pids.get(self.at).copied()
    }

    /// Returns the visit through the next process.
    fn next(self) -> Visiting {
        Visiting {
            at: self.at + 1,
            ..self
        }
    }
}

/// Takes the next place out of those that wait: the first one of a group that no child works at.
fn take_next(waiting: &mut VecDeque<Place>, children: &Children<Visiting>) -> Option<Place> {
    let is_free = |place: &Place| {
        let mut groups = children.working().map(|visiting| visiting.place.group);
        groups.all(|group| group != place.group)
    };
    let next = waiting.iter().position(is_free)?;
    waiting.remove(next)
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
