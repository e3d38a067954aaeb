//! The requests in work, recorded for a successor: the one that a daemon died of is among them.
//!
//! A daemon that dies by itself or is killed leaves the numbers of the requests that its workers were
//! at. The kernel sends these requests to the next daemon. A request at which three daemons died is
//! answered EIO by the fourth one, before it is sent again.

use crate::{
    base::{
        state::{Kind, Store, words},
        units::Key,
    },
    serve::wire::{RESENT, Side, Work},
};
use std::sync::Arc;

/// The first mark of a worker; before it are the marks of the two connections.
const FIRST_MARK: usize = 2;
/// The number of marks for workers.
const MARKS: usize = 12;
/// The last mark has the smallest number of a request of the direct connection that waits for its
/// container's share, and the mark before it that of the cached connection; 0 if none waits.
const OLDEST_WAITING: u8 = 15;
/// The number of daemons that may die at one request.
const MAX_DEATHS: u64 = 3;
/// The maximum number of suspects that are remembered.
const MAX_SUSPECTS: usize = 64;
/// The bit of a mark that tells a request of the cached connection. The kernel counts requests from
/// 0 and never gets there.
const CACHED: u64 = 1 << 62;

/// The record of the requests in work.
#[derive(Debug)]
pub(super) struct Suspects {
    store: Arc<Store>,
}

/// A request at which too many daemons died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Culprit {
    pub(super) side: Side,
    /// The number by which the kernel knows the request now.
    pub(super) unique: u64,
    /// The container that caused the request, if a daemon found that out.
    pub(super) key: Option<Key>,
}

impl Suspects {
    pub(super) fn new(store: Arc<Store>) -> Suspects {
        Suspects { store }
    }

    /// Records that the worker at that place begins to work on a request.
    pub(super) fn begin(&self, worker: usize, work: Work) {
        if let Some(mark) = mark(worker) {
            self.store.mark(mark, tag(work));
        }
    }

    /// Records that the worker has ended its work. A request that is not answered yet waits for its
    /// container's share.
    pub(super) fn end(&self, worker: usize, work: Work, is_answered: bool) {
        if let Some(mark) = mark(worker) {
            self.store.mark(mark, 0);
        }
        if is_answered && work.unique & RESENT != 0 {
            self.store.remove(Kind::Suspect, tag(work) & !RESENT);
        }
    }

    /// Records the smallest number of a request that waits on that side; 0 if none does.
    pub(super) fn note_oldest_waiting(&self, side: Side, unique: u64) {
        self.store.mark(OLDEST_WAITING - side.index(), unique);
    }

    /// Returns the smallest number of a request that waited on that side when the daemon before this
    /// one ended.
    pub(super) fn oldest_waiting(&self, side: Side) -> Option<u64> {
        let oldest = self.store.marked(OLDEST_WAITING - side.index());
        (oldest != 0).then_some(oldest)
    }

    /// Records the container that caused a request which was sent again.
    pub(super) fn note_container(&self, work: Work, key: Key) {
        let number = tag(work) & !RESENT;
        let deaths = self.deaths(number).map_or(0, |(deaths, _)| deaths);
        if deaths > 0 {
            self.put(number, deaths, key.0);
        }
    }

    /// Counts the death of the daemon before this one for each request that it was at, and returns
    /// the requests to refuse. No daemon may serve meanwhile.
    pub(super) fn count_death(&self) -> Vec<Culprit> {
        let known = self.store.keys(Kind::Suspect);
        if known.len() > MAX_SUSPECTS {
            known
                .into_iter()
                .for_each(|number| self.store.remove(Kind::Suspect, number));
        }
        (0..MARKS)
            .filter_map(|worker| self.culprit(mark(worker)?))
            .collect()
    }

    fn culprit(&self, mark: u8) -> Option<Culprit> {
        let tag = self.store.marked(mark);
        self.store.mark(mark, 0);
        if tag == 0 {
            return None;
        }
        let number = tag & !RESENT;
        let (deaths, key) = self.deaths(number).unwrap_or_default();
        let deaths = deaths.saturating_add(1);
        if deaths < MAX_DEATHS {
            self.put(number, deaths, key);
            return None;
        }
        self.store.remove(Kind::Suspect, number);
        Some(Culprit {
            side: if tag & CACHED == 0 {
                Side::Direct
            } else {
                Side::Cached
            },
            unique: tag & !CACHED,
            key: (key != 0).then_some(Key(key)),
        })
    }

    /// Writes a record: the deaths and the key of the container, 0 while not known.
    fn put(&self, number: u64, deaths: u64, key: u64) {
        let record = [deaths, key].map(u64::to_le_bytes);
        self.store.put(Kind::Suspect, number, &record.concat());
    }

    fn deaths(&self, number: u64) -> Option<(u64, u64)> {
        let [deaths, key] = words(&self.store.get(Kind::Suspect, number)?)?;
        Some((deaths, key))
    }
}

fn mark(worker: usize) -> Option<u8> {
    (worker < MARKS).then_some(())?;
    u8::try_from(FIRST_MARK + worker).ok()
}

fn tag(work: Work) -> u64 {
    match work.side {
        Side::Direct => work.unique,
        Side::Cached => work.unique | CACHED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Tid;

    const WORK: Work = Work {
        side: Side::Cached,
        unique: 40,
        inode: 1,
        tid: Tid(3),
        key: None,
    };

    #[test]
    fn the_request_at_which_three_daemons_died_is_refused_with_its_container_known() {
        let store = Arc::new(Store::new().unwrap());
        let resent = Work {
            unique: 40 | RESENT,
            ..WORK
        };
        for work in [WORK, resent, resent] {
            let daemon = Suspects::new(Arc::clone(&store));
            assert_eq!(daemon.count_death(), []);
            daemon.begin(3, work);
            daemon.note_container(work, Key(9));
        }
        let daemon = Suspects::new(store);
        let culprit = Culprit {
            side: Side::Cached,
            unique: 40 | RESENT,
            key: Some(Key(9)),
        };
        assert_eq!(daemon.count_death(), [culprit]);
        assert_eq!(daemon.count_death(), []);
    }

    #[test]
    fn a_request_that_a_daemon_could_answer_is_no_suspect_any_more() {
        let store = Arc::new(Store::new().unwrap());
        let daemon = Suspects::new(Arc::clone(&store));
        let resent = Work {
            unique: 40 | RESENT,
            ..WORK
        };
        for _ in 0..10 {
            daemon.begin(0, WORK);
            assert_eq!(daemon.count_death(), []);
            daemon.begin(0, resent);
            daemon.end(0, resent, true);
        }
        assert!(store.keys(Kind::Suspect).is_empty());
    }
}
