//! The share of each container in the work of the daemon. A request of a container whose share is used
//! up waits in a queue of that container; requests of other containers go on.
//!
//! Each container has an account, charged with the CPU time of its requests on the direct connection, and
//! of those on the cached connection that name its own files: O_DIRECT and `statx(2)` with
//! `AT_STATX_FORCE_SYNC` ask for these past the kernel's cache.
//! The account is due at the moment by which the container's share makes up for its requests. Until
//! then further requests wait. One thread takes them up, of the container that was due first.

use crate::{
    base::units::{Key, Micros, Tid},
    serve::wire::{RESENT, Side, Work},
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// The CPU time that a container which was idle may use at once, beyond its share.
const BURST: Duration = Duration::from_millis(80);
/// The maximum number of requests of one container that wait. More are worked on at once: an error
/// would be worse for their callers.
const MAX_WAITING: usize = 4096;
/// The maximum number of threads whose container is remembered, and of accounts before those that make
/// no difference are closed.
const MAX_THREADS: usize = 8192;

type Job = Box<dyn FnOnce() + Send>;

/// The accounts of the containers.
pub(super) struct Shares {
    /// The share of each container, in hundredths of a CPU.
    percent: u32,
    table: Mutex<Accounts>,
    /// True while the requests of a container wait.
    is_any_waiting: AtomicBool,
    added: Condvar,
}

#[derive(Default)]
struct Accounts {
    accounts: HashMap<Key, Account>,
    /// The container of each thread that sent a request; `None` for a thread of the host.
    threads: HashMap<Tid, Option<Key>>,
    /// The numbers of the requests that wait, by the index of their side.
    waiting: [BTreeSet<u64>; 2],
}

struct Account {
    due: Instant,
    waiting: VecDeque<Waiting>,
}

/// A request that waits.
pub(super) struct Waiting {
    pub(super) work: Work,
    pub(super) job: Job,
}

impl std::fmt::Debug for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shares")
            .field("percent", &self.percent)
            .finish_non_exhaustive()
    }
}

impl Shares {
    /// Grants each container `percent` hundredths of a CPU; at least one.
    pub(super) fn new(percent: u32) -> Shares {
        Shares {
            percent: percent.max(1),
            table: Mutex::default(),
            is_any_waiting: AtomicBool::new(false),
            added: Condvar::new(),
        }
    }

    /// Returns whether the requests of some container wait.
    pub(super) fn is_any_waiting(&self) -> bool {
        self.is_any_waiting.load(Ordering::Relaxed)
    }

    /// Returns the container of a thread, or that it has none, if the thread sent a request before.
    pub(super) fn container(&self, tid: Tid) -> Option<Option<Key>> {
        self.table.lock().threads.get(&tid).copied()
    }

    /// Lets a request of the container wait if its share is used up, and returns the smallest number
    /// among those that wait on its side. Returns the request otherwise.
    pub(super) fn wait_for_share(
        &self,
        key: Key,
        work: Work,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<u64, impl FnOnce() + Send + 'static> {
        let mut table = self.table.lock();
        let now = Instant::now();
        let Some(account) = table
            .accounts
            .get_mut(&key)
            .filter(|account| account.must_wait(now))
        else {
            return Err(job);
        };
        account.waiting.push_back(Waiting {
            work,
            job: Box::new(job),
        });
        let numbers = table.numbers(work.side);
        numbers.insert(work.unique & !RESENT);
        let oldest = numbers.first().copied().unwrap_or_default();
        self.is_any_waiting.store(true, Ordering::Relaxed);
        drop(table);
        self.added.notify_one();
        Ok(oldest)
    }

    /// Remembers the container of a thread, or that it has none.
    pub(super) fn note_thread(&self, tid: Tid, key: Option<Key>) {
        let mut table = self.table.lock();
        if table.threads.len() >= MAX_THREADS {
            table.threads.clear();
        }
        table.threads.insert(tid, key);
    }

    /// Charges a container with the CPU time of a request.
    pub(super) fn charge(&self, key: Key, used: Micros) {
        let cost = Duration::from_micros(used.0) * 100 / self.percent;
        let credit = BURST * 100 / self.percent;
        let now = Instant::now();
        let mut table = self.table.lock();
        if table.accounts.len() >= MAX_THREADS {
            // An account that is due makes no difference.
            table
                .accounts
                .retain(|_, account| account.due > now || !account.waiting.is_empty());
        }
        let floor = now.checked_sub(credit).unwrap_or(now);
        let account = table.accounts.entry(key).or_insert_with(|| Account {
            due: floor,
            waiting: VecDeque::new(),
        });
        account.due = account.due.max(floor) + cost;
    }

    /// Waits until a request may be worked on, and returns it with the smallest number among those
    /// that go on waiting on its side; 0 if none does.
    pub(super) fn next(&self) -> (Waiting, u64) {
        let mut table = self.table.lock();
        loop {
            let now = Instant::now();
            let waiting = table
                .accounts
                .values_mut()
                .filter(|account| !account.waiting.is_empty());
            let first = waiting.min_by_key(|account| account.due);
            let due = first.as_ref().map(|account| account.due);
            if let Some(next) = first
                .filter(|account| account.due <= now)
                .and_then(|account| account.waiting.pop_front())
            {
                let numbers = table.numbers(next.work.side);
                numbers.remove(&(next.work.unique & !RESENT));
                let oldest = numbers.first().copied();
                let is_any = table.waiting.iter().any(|numbers| !numbers.is_empty());
                self.is_any_waiting.store(is_any, Ordering::Relaxed);
                return (next, oldest.unwrap_or_default());
            }
            match due {
                Some(due) => {
                    self.added.wait_until(&mut table, due);
                }
                None => self.added.wait(&mut table),
            }
        }
    }
}

impl Accounts {
    /// Returns the numbers of the requests that wait on a side.
    fn numbers(&mut self, side: Side) -> &mut BTreeSet<u64> {
        let [direct, cached] = &mut self.waiting;
        match side {
            Side::Direct => direct,
            Side::Cached => cached,
        }
    }
}

impl Account {
    fn must_wait(&self, now: Instant) -> bool {
        (self.due > now || !self.waiting.is_empty()) && self.waiting.len() < MAX_WAITING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(unique: u64) -> Work {
        Work {
            side: Side::Direct,
            unique,
            inode: 1,
            tid: Tid(1),
            key: None,
        }
    }

    #[test]
    fn a_container_beyond_its_share_waits_and_another_one_does_not() {
        let shares = Shares::new(10);
        let is_waiting =
            |key: u64, unique: u64| shares.wait_for_share(Key(key), work(unique), || {}).is_ok();
        assert!(!is_waiting(1, 2));
        shares.charge(Key(1), Micros(45_000));
        assert!(!is_waiting(1, 2), "a burst is granted");
        shares.charge(Key(1), Micros(45_000));
        let begun = Instant::now();
        assert!(is_waiting(1, 6) && is_waiting(1, 8) && !is_waiting(2, 10));
        assert!(shares.is_any_waiting());
        let (first, oldest) = shares.next();
        assert_eq!((first.work.unique, oldest), (6, 8));
        // 90 ms less a burst of 80 ms at a tenth of a CPU.
        assert!(
            begun.elapsed() > Duration::from_millis(80),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(shares.next().1, 0);
        assert!(!shares.is_any_waiting());
        shares.note_thread(Tid(5), Some(Key(1)));
        assert_eq!(shares.container(Tid(5)), Some(Some(Key(1))));
    }

    #[test]
    fn the_oldest_request_that_waits_is_known_for_each_connection() {
        let shares = Shares::new(1);
        shares.charge(Key(1), Micros(81_000));
        let wait = |side, unique| {
            let work = Work {
                side,
                ..work(unique)
            };
            shares.wait_for_share(Key(1), work, || {}).ok()
        };
        assert_eq!(wait(Side::Direct, 100), Some(100));
        assert_eq!(wait(Side::Cached, 4), Some(4));
        assert_eq!(wait(Side::Direct, 102), Some(100));
        assert_eq!(shares.next().1, 102);
        assert_eq!(shares.next().1, 0);
        assert!(shares.is_any_waiting());
    }

    #[test]
    fn more_requests_than_may_wait_are_worked_on_at_once() {
        let shares = Shares::new(1);
        shares.charge(Key(1), Micros(1_000_000));
        let number = |unique: usize| u64::try_from(unique).unwrap();
        for unique in 1..=MAX_WAITING {
            assert!(
                shares
                    .wait_for_share(Key(1), work(number(unique)), || {})
                    .is_ok()
            );
        }
        assert!(
            shares
                .wait_for_share(Key(1), work(number(MAX_WAITING + 1)), || {})
                .is_err()
        );
    }
}
