//! The share of each container in the work of the daemon. A request of a container whose share is used
//! up waits in a queue of that container; requests of other containers go on.
//!
//! Each container has an account, charged with the CPU time of its requests on the direct connection.
//! The account is due at the moment by which the container's share makes up for its requests. Until
//! then further requests wait. One thread takes them up, of the container that was due first.

use crate::{
    base::units::{Key, Micros, Tid},
    serve::wire::{RESENT, Work},
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// The CPU time that a container which was idle may use at once, beyond its share.
const BURST: Duration = Duration::from_millis(20);
/// The maximum number of requests of one container that wait. More are worked on at once: an error
/// would be worse for their callers.
const MAX_WAITING: usize = 4096;
/// The maximum number of threads whose container is remembered.
const MAX_THREADS: usize = 8192;
/// The CPU time of taking a request, which is not measured.
const TAKING: Micros = Micros(4);

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
    /// The numbers of the requests that wait.
    waiting: BTreeSet<u64>,
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

    /// Lets a request of the container wait if its share is used up: returns the request otherwise,
    /// with the smallest number among all that wait.
    pub(super) fn wait_for_share(
        &self,
        key: Key,
        work: Work,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<u64, impl FnOnce() + Send + 'static> {
        let mut table = self.table.lock();
        let Accounts {
            accounts, waiting, ..
        } = &mut *table;
        let now = Instant::now();
        let Some(account) = accounts
            .get_mut(&key)
            .filter(|account| account.must_wait(now))
        else {
            return Err(job);
        };
        account.waiting.push_back(Waiting {
            work,
            job: Box::new(job),
        });
        waiting.insert(work.unique & !RESENT);
        let oldest = waiting.first().copied().unwrap_or_default();
        self.is_any_waiting.store(true, Ordering::Relaxed);
        drop(table);
        self.added.notify_one();
        Ok(oldest)
    }

    /// Charges a container with the CPU time of a request of the thread `tid`. The host has no
    /// account.
    pub(super) fn charge(&self, key: Option<Key>, tid: Tid, used: Micros) {
        let cost = Duration::from_micros(used.plus(TAKING).0) * 100 / self.percent;
        let credit = BURST * 100 / self.percent;
        let now = Instant::now();
        let mut table = self.table.lock();
        if table.threads.len() >= MAX_THREADS {
            table.threads.clear();
            // An account that is due makes no difference.
            table
                .accounts
                .retain(|_, account| account.due > now || !account.waiting.is_empty());
        }
        table.threads.insert(tid, key);
        let Some(key) = key else {
            return;
        };
        let floor = now.checked_sub(credit).unwrap_or(now);
        let account = table.accounts.entry(key).or_insert_with(|| Account {
            due: floor,
            waiting: VecDeque::new(),
        });
        account.due = account.due.max(floor) + cost;
    }

    /// Waits until a request may be worked on, and returns it with the smallest number among those
    /// that go on waiting; 0 if none does.
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
                table.waiting.remove(&(next.work.unique & !RESENT));
                let oldest = table.waiting.first().copied();
                self.is_any_waiting
                    .store(oldest.is_some(), Ordering::Relaxed);
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

impl Account {
    fn must_wait(&self, now: Instant) -> bool {
        (self.due > now || !self.waiting.is_empty()) && self.waiting.len() < MAX_WAITING
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::wire::Side;

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
        shares.charge(Some(Key(1)), Tid(5), Micros(15_000));
        assert!(!is_waiting(1, 2), "a burst is granted");
        shares.charge(Some(Key(1)), Tid(5), Micros(15_000));
        let begun = Instant::now();
        assert!(is_waiting(1, 6) && is_waiting(1, 8) && !is_waiting(2, 10));
        assert!(shares.is_any_waiting());
        let (first, oldest) = shares.next();
        assert_eq!((first.work.unique, oldest), (6, 8));
        // 30 ms less a burst of 20 ms at a tenth of a CPU.
        assert!(
            begun.elapsed() > Duration::from_millis(80),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(shares.next().1, 0);
        assert!(!shares.is_any_waiting());
        assert_eq!(shares.container(Tid(5)), Some(Some(Key(1))));
    }

    #[test]
    fn more_requests_than_may_wait_are_worked_on_at_once() {
        let shares = Shares::new(1);
        shares.charge(Some(Key(1)), Tid(5), Micros(1_000_000));
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
