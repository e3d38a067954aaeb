//! The number of files that may be held open.

use nix::sys::resource::{Resource, getrlimit};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The largest budget. The kernel keeps a page for each open file: 50 MiB in all, enough for the
/// files of 1000 containers that are read once a second.
const MAX_OPEN_FILES: usize = 12 << 10;

/// The number of files that may be held open, shared by all `Dir`s of the process.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// Makes a budget of `max` files.
    #[must_use]
    pub fn new(max: usize) -> Budget {
        Budget(Arc::new(AtomicUsize::new(max)))
    }

    /// Makes a budget of half the descriptors that this process may open (`RLIMIT_NOFILE`), at most
    /// 12288.
    #[must_use]
    pub fn of_this_process() -> Budget {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft / 2);
        Budget::new(
            usize::try_from(limit).map_or(MAX_OPEN_FILES, |limit| limit.min(MAX_OPEN_FILES)),
        )
    }

    /// Takes a permit for one file, if one is left.
    pub(super) fn take(&self) -> Option<Permit> {
        let one_less = |left: usize| left.checked_sub(1);
        let taken = (self.0).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        taken.ok().map(|_| Permit(Arc::clone(&self.0)))
    }

    /// Returns the number of permits that are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The permit to hold one file open. The permit returns to the budget when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
