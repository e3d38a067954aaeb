//! The gate stops the workers between two requests, so that no request is lost when the process
//! ends. Its counters show whether a worker is stuck, and in which request.

use super::Side;
use crate::base::units::{Key, Tid};
use parking_lot::{Condvar, Mutex};
use std::{
    cell::OnceCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The gate of this process.
pub static GATE: Gate = Gate {
    workers: Mutex::new(Vec::new()),
    is_closed: AtomicBool::new(false),
    stopped: Mutex::new(0),
    opened: Condvar::new(),
    late: Mutex::new(()),
};

thread_local! {
    static OWN: OnceCell<(usize, Arc<Worker>)> = const { OnceCell::new() };
}

/// The pause after which a late request looks again whether the gate is open.
const LATE_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// A request of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The connection that the request came from.
    pub side: Side,
    /// The number by which the kernel knows the request.
    pub unique: u64,
    /// The inode number that the request is about.
    pub inode: u64,
    /// The thread that caused the request; 0 for the kernel itself.
    pub tid: Tid,
    /// The container that caused the request, once known.
    pub key: Option<Key>,
}

/// A thread that works on requests, and its present request.
#[derive(Debug, Default)]
struct Worker {
    /// Twice the number of finished requests, plus one during a request.
    count: AtomicU64,
    side: AtomicU64,
    unique: AtomicU64,
    inode: AtomicU64,
    tid: AtomicU32,
    /// The key of the container; 0 while not known.
    key: AtomicU64,
}

impl Worker {
    fn begin(&self, work: Work) {
        (self.side).store(work.side.index().into(), Ordering::Relaxed);
        self.unique.store(work.unique, Ordering::Relaxed);
        self.inode.store(work.inode, Ordering::Relaxed);
        self.tid.store(work.tid.0, Ordering::Relaxed);
        let key = work.key.unwrap_or_default();
        self.key.store(key.0, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Returns the present request, or the last one.
    fn work(&self) -> Work {
        let key = self.key.load(Ordering::Relaxed);
        Work {
            side: Side::from_index(self.side.load(Ordering::Relaxed)),
            unique: self.unique.load(Ordering::Relaxed),
            inode: self.inode.load(Ordering::Relaxed),
            tid: Tid(self.tid.load(Ordering::Relaxed)),
            key: (key != 0).then_some(Key(key)),
        }
    }
}

/// A gate that every worker passes with each request.
#[derive(Debug)]
pub struct Gate {
    /// Each thread that ever worked.
    workers: Mutex<Vec<Arc<Worker>>>,
    is_closed: AtomicBool,
    /// The number of workers that stand at the closed gate.
    stopped: Mutex<usize>,
    opened: Condvar,
    /// Held by the thread of late requests during one.
    late: Mutex<()>,
}

/// The counters of all workers at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkerProgress(Vec<u64>);

impl WorkerProgress {
    /// Returns whether a worker is in the same request as it was at the moment `before`.
    #[must_use]
    pub fn is_stuck_since(&self, before: &WorkerProgress) -> bool {
        self.stuck_since(before).next().is_some()
    }

    /// Returns the places of the workers that are in the same request as at the moment `before`.
    fn stuck_since(&self, before: &WorkerProgress) -> impl Iterator<Item = usize> {
        let both = self.0.iter().zip(&before.0).enumerate();
        let stuck = both.filter(|(_, (now, before))| now == before && *now % 2 == 1);
        stuck.map(|(place, _)| place)
    }
}

impl Gate {
    /// Runs one request, then waits while the gate is closed. `run` gets the place of this worker
    /// among all.
    pub fn pass(&self, work: Work, run: impl FnOnce(usize)) {
        self.work_on(work, run);
        if self.is_closed.load(Ordering::Acquire) {
            self.stop();
        }
    }

    /// Runs one request that has waited, on a thread that is no worker: [`Gate::close`] does not
    /// expect it at the gate, but waits until its request has ended. Waits first while the gate is
    /// closed.
    pub fn pass_late(&self, work: Work, run: impl FnOnce(usize)) {
        let mut late = self.late.lock();
        while self.is_closed.load(Ordering::Acquire) {
            drop(late);
            std::thread::sleep(LATE_RETRY_INTERVAL);
            late = self.late.lock();
        }
        self.work_on(work, run);
    }

    fn work_on(&self, work: Work, run: impl FnOnce(usize)) {
        let (place, own) = OWN.with(|own| {
            let (place, own) = own.get_or_init(|| {
                let own = Arc::new(Worker::default());
                let mut workers = self.workers.lock();
                workers.push(Arc::clone(&own));
                (workers.len() - 1, own)
            });
            (*place, Arc::clone(own))
        });
        own.begin(work);
        run(place);
        own.count.fetch_add(1, Ordering::Release);
    }

    /// Returns the container that caused the present request of this thread, if that is known.
    #[must_use]
    pub fn container(&self) -> Option<Key> {
        OWN.with(|own| own.get().and_then(|(_, own)| own.work().key))
    }

    /// Records the container that caused the present request of this thread, and returns the
    /// request; `None` for a thread that never worked.
    pub fn note_container(&self, key: Key) -> Option<Work> {
        OWN.with(|own| {
            let (_, own) = own.get()?;
            own.key.store(key.0, Ordering::Relaxed);
            Some(own.work())
        })
    }

    /// Returns the requests that are in work since the moment `before` at least.
    #[must_use]
    pub fn stuck_since(&self, before: &WorkerProgress) -> Vec<Work> {
        let now = self.progress();
        let workers = self.workers.lock();
        let stuck = now.stuck_since(before);
        stuck
            .filter_map(|place| Some(workers.get(place)?.work()))
            .collect()
    }

    fn stop(&self) {
        let mut stopped = self.stopped.lock();
        *stopped += 1;
        while self.is_closed.load(Ordering::Acquire) {
            self.opened.wait(&mut stopped);
        }
        *stopped -= 1;
    }

    /// Returns the counters of all workers now.
    #[must_use]
    pub fn progress(&self) -> WorkerProgress {
        let workers = self.workers.lock();
        let counts = workers.iter().map(|own| own.count.load(Ordering::Acquire));
        WorkerProgress(counts.collect())
    }

    /// Closes the gate and waits until that many workers stand at it, at most `timeout`; `wake`
    /// causes one request, which moves an idle worker to the gate. Returns whether enough workers
    /// reached the gate in time; otherwise the gate stays closed.
    pub fn close(&self, workers: usize, timeout: Duration, wake: impl Fn()) -> bool {
        self.is_closed.store(true, Ordering::Release);
        let deadline = Instant::now() + timeout;
        loop {
            if *self.stopped.lock() >= workers {
                return self.late.try_lock_until(deadline).is_some();
            }
            if Instant::now() >= deadline {
                return false;
            }
            wake();
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Returns whether the gate is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Opens the gate, so that the workers at it go on.
    pub fn open(&self) {
        let _stopped = self.stopped.lock();
        self.is_closed.store(false, Ordering::Release);
        self.opened.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const WORK: Work = Work {
        side: Side::Cached,
        unique: 8,
        inode: 2,
        tid: Tid(3),
        key: None,
    };

    fn gate() -> &'static Gate {
        Box::leak(Box::new(Gate {
            workers: Mutex::default(),
            is_closed: AtomicBool::new(false),
            stopped: Mutex::default(),
            opened: Condvar::new(),
            late: Mutex::new(()),
        }))
    }

    #[test]
    fn a_worker_is_stuck_when_it_is_at_the_same_request_as_before() {
        let at = |counts: &[u64]| WorkerProgress(counts.to_vec());
        assert!(at(&[2, 5]).is_stuck_since(&at(&[1, 5])));
        assert!(!at(&[3, 7, 1]).is_stuck_since(&at(&[1, 5])));
        assert!(!at(&[4]).is_stuck_since(&at(&[4])));
    }

    #[test]
    fn a_request_in_which_a_worker_is_stuck_is_known_with_its_container() {
        let gate = gate();
        gate.pass(WORK, |_| {
            let before = gate.progress();
            gate.note_container(Key(7));
            let key = Some(Key(7));
            assert_eq!(gate.stuck_since(&before), [Work { key, ..WORK }]);
        });
        assert!(gate.stuck_since(&gate.progress()).is_empty());
    }

    #[test]
    fn a_closed_gate_lets_requests_end_and_none_begin() {
        let gate = gate();
        let done = Arc::new(AtomicU64::new(0));
        for _ in 0..2 {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                loop {
                    gate.pass(WORK, |_| {
                        done.fetch_add(1, Ordering::Relaxed);
                    });
                    thread::sleep(Duration::from_micros(10));
                }
            });
        }
        assert!(gate.close(2, Duration::from_secs(10), || {}));
        let before = done.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
        assert_eq!(done.load(Ordering::Relaxed), before);
        gate.open();
        while done.load(Ordering::Relaxed) == before {
            thread::yield_now();
        }
    }

    #[test]
    fn a_gate_that_a_worker_never_reaches_is_not_waited_for_for_ever() {
        assert!(!gate().close(1, Duration::from_millis(2), || {}));
    }
}
