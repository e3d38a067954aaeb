//! The moment at which the daemon works on a request: now, or when the share of its container permits it.

use super::{
    request::{guarded, owner, set_inode},
    server::Server,
    uncharged,
};
use crate::{
    base::units::{Key, Tid},
    serve::wire::{GATE, Side, Work},
};
use std::sync::Arc;

impl Server {
    /// Runs the handler of one request. The number of the request is in the store meanwhile, for a
    /// successor.
    pub(super) fn run(&self, work: Work, handler: impl FnOnce()) {
        let answered = || {
            handler();
            // Nobody is charged.
            uncharged::take();
            true
        };
        GATE.pass(work, self.recorded(work, answered));
    }

    /// Runs the handler of one request now, and charges its container. For a request during which the kernel
    /// holds a lock that another container's request needs: a page that splice(2) fills is locked, and each
    /// open of the inode waits for the page (`invalidate_inode_pages2` in `fuse_open`, `fs/fuse/file.c`).
    /// `FOPEN_KEEP_CACHE` would avoid that, and is not permitted together with a backing file.
    pub(super) fn run_at_once(&self, work: Work, handler: impl FnOnce()) {
        let answered = || {
            handler();
            self.charge(work);
            true
        };
        GATE.pass(work, self.recorded(work, answered));
    }

    /// Runs a handler that returns whether it has answered the request.
    fn recorded(&self, work: Work, handler: impl FnOnce() -> bool) -> impl FnOnce(usize) {
        move |worker| {
            self.store.mark(work.side.index(), work.unique);
            set_inode(work.inode);
            self.suspects.begin(worker, work);
            let mut is_answered = true;
            guarded(|| is_answered = handler());
            self.suspects.end(worker, work, is_answered);
        }
    }

    /// Runs the handler of one request now, or later if its container has used up its share of the
    /// daemon's work.
    pub(super) fn run_fairly(
        self: &Arc<Self>,
        work: Work,
        handler: impl FnOnce() + Send + 'static,
    ) {
        let run = || {
            match self.payer(work) {
                None => handler(),
                Some(key) => match self.shares.wait_for_share(key, work, handler) {
                    Ok(oldest) => {
                        self.suspects.note_oldest_waiting(work.side, oldest);
                        self.shares.charge(key, uncharged::take());
                        return false;
                    }
                    Err(handler) => handler(),
                },
            }
            self.charge(work);
            true
        };
        GATE.pass(work, self.recorded(work, run));
    }

    /// Returns the container that the request is charged to, as far as that is known without work.
    /// While requests wait, also a thread that is not known yet is identified: else each new thread
    /// would have a share of its own.
    fn payer(&self, work: Work) -> Option<Key> {
        match owner(work) {
            Some(key) => Some(key),
            // The kernel holds the directory during a lookup, and the root is everybody's.
            None if work.side == Side::Cached => None,
            None => match self.shares.container(work.tid) {
                None if self.shares.is_any_waiting() => self.container_key(work.tid).ok(),
                known => known.flatten(),
            },
        }
    }

    /// Charges the container that caused the present request with the CPU time of this thread since its
    /// request before.
    fn charge(&self, work: Work) {
        let payer = match (owner(work), work.side) {
            (None, Side::Direct) => self.note_thread(work.tid),
            (owner, _) => owner,
        };
        let used = uncharged::take();
        if let Some(key) = payer {
            self.shares.charge(key, used);
        }
    }

    /// Returns the container of the thread that caused the present request, and remembers it.
    fn note_thread(&self, tid: Tid) -> Option<Key> {
        let found = GATE
            .container()
            .or_else(|| match self.shares.container(tid) {
                None => self.container_key(tid).ok(),
                known => known.flatten(),
            });
        self.shares.note_thread(tid, found);
        found
    }

    /// Runs the requests that wait for their container's share, for ever.
    pub fn run_late(&self) -> ! {
        loop {
            let (late, oldest) = self.shares.next();
            let (work, job) = (late.work, late.job);
            let run = || {
                job();
                self.charge(work);
                true
            };
            GATE.pass_late(work, self.recorded(work, run));
            self.suspects.note_oldest_waiting(work.side, oldest);
        }
    }
}
