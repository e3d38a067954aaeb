//! The gate stops the workers between two requests, so that no request is lost when the process
//! ends. Its counters show whether a worker is stuck.

use parking_lot::{Condvar, Mutex};
use std::{
    cell::OnceCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The gate of this process.
pub static GATE: Gate = Gate {
    workers: Mutex::new(Vec::new()),
    is_closed: AtomicBool::new(false),
    stopped: Mutex::new(0),
    opened: Condvar::new(),
};

thread_local! {
    static OWN: OnceCell<Arc<AtomicU64>> = const { OnceCell::new() };
}

/// A gate that every worker passes with each request.
#[derive(Debug)]
pub struct Gate {
    /// Counter of each thread that ever worked: twice the number of finished requests, plus one
    /// during a request.
    workers: Mutex<Vec<Arc<AtomicU64>>>,
    is_closed: AtomicBool,
    /// The number of workers that stand at the closed gate.
    stopped: Mutex<usize>,
    opened: Condvar,
}

/// The counters of all workers at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkerProgress(Vec<u64>);

impl WorkerProgress {
    /// Returns whether a worker is in the same request as it was at the moment `before`.
    #[must_use]
    pub fn is_stuck_since(&self, before: &WorkerProgress) -> bool {
        let mut both = self.0.iter().zip(&before.0);
        both.any(|(now, before)| now == before && now % 2 == 1)
    }
}

impl Gate {
    /// Runs one request. If the gate is closed after it, waits until the gate opens.
    pub fn pass(&self, work: impl FnOnce()) {
        let own = OWN.with(|own| {
            Arc::clone(own.get_or_init(|| {
                let own = Arc::new(AtomicU64::new(0));
                self.workers.lock().push(Arc::clone(&own));
                own
            }))
        });
        own.fetch_add(1, Ordering::Relaxed);
        work();
        own.fetch_add(1, Ordering::Release);
        if self.is_closed.load(Ordering::Acquire) {
            self.stop();
        }
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
        let counts = workers.iter().map(|count| count.load(Ordering::Acquire));
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
                return true;
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

    fn gate() -> &'static Gate {
        Box::leak(Box::new(Gate {
            workers: Mutex::default(),
            is_closed: AtomicBool::new(false),
            stopped: Mutex::default(),
            opened: Condvar::new(),
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
    fn a_closed_gate_lets_requests_end_and_none_begin() {
        let gate = gate();
        let done = Arc::new(AtomicU64::new(0));
        for _ in 0..2 {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                loop {
                    gate.pass(|| {
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
