//! How many files may be held open.

use nix::sys::resource::{Resource, getrlimit};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The kernel keeps a page for each: 50 MiB, for which the files of 1000 containers that are read
/// once a second need not be looked up again.
const MAX_OPEN_FILES: usize = 12 << 10;

/// How many files may be held open, of however many directories.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// So many.
    #[must_use]
    pub fn new(max: usize) -> Budget {
        Budget(Arc::new(AtomicUsize::new(max)))
    }

    /// Half of the descriptors that this process may have (`RLIMIT_NOFILE`), and no more than
    /// 12288.
    #[must_use]
    pub fn of_this_process() -> Budget {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft / 2);
        Budget::new(
            usize::try_from(limit).map_or(MAX_OPEN_FILES, |limit| limit.min(MAX_OPEN_FILES)),
        )
    }

    /// A place, if there is one left.
    pub(super) fn take(&self) -> Option<Permit> {
        let one_less = |left: usize| left.checked_sub(1);
        let taken = (self.0).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        taken.ok().map(|_| Permit(Arc::clone(&self.0)))
    }

    /// How many places are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file's place in a budget, free again when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
