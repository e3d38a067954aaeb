//! What is remembered of each container between two reads; the dead are forgotten.

use crate::base::units::Key;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// So many pages are kept without asking which containers are dead.
const FEW: usize = 64;

/// A page for each container, by key. One container's readers never wait for another's.
#[derive(Debug)]
pub struct Ledger<T> {
    pages: Mutex<HashMap<Key, Arc<Mutex<T>>>>,
    /// At so many pages the dead are due to be forgotten.
    crowd: AtomicUsize,
}

impl<T> Default for Ledger<T> {
    fn default() -> Ledger<T> {
        Ledger {
            pages: Mutex::new(HashMap::new()),
            crowd: AtomicUsize::new(FEW),
        }
    }
}

impl<T: Default> Ledger<T> {
    /// The page of the container `key`; a fresh one at its first read.
    #[must_use]
    pub fn page(&self, key: Key) -> Arc<Mutex<T>> {
        Arc::clone(self.pages.lock().entry(key).or_default())
    }

    /// The page of the container `key`, if it has read before.
    #[must_use]
    pub fn known(&self, key: Key) -> Option<Arc<Mutex<T>>> {
        self.pages.lock().get(&key).map(Arc::clone)
    }

    /// Every page, with the container's key, in no order.
    #[must_use]
    pub fn pages(&self) -> Vec<(Key, Arc<Mutex<T>>)> {
        let pages = self.pages.lock();
        pages
            .iter()
            .map(|(key, page)| (*key, Arc::clone(page)))
            .collect()
    }

    /// Whether there are twice the pages that were left when the dead were last forgotten: then
    /// it is time to forget them again, and costs each container no more than a constant.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.pages.lock().len() >= self.crowd.load(Ordering::Relaxed)
    }

    /// Forgets the containers of which `is_alive` says that they are gone.
    pub fn forget_dead(&self, is_alive: impl Fn(Key) -> bool) {
        let dead: Vec<Key> = self
            .pages()
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| !is_alive(*key))
            .collect();
        let mut pages = self.pages.lock();
        for key in dead {
            pages.remove(&key);
        }
        let crowd = pages.len().saturating_mul(2).max(FEW);
        self.crowd.store(crowd, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_due_when_the_pages_have_doubled() {
        let ledger = Ledger::<u32>::default();
        for key in 0..FEW {
            assert!(!ledger.is_crowded());
            let _ = ledger.page(Key(u64::try_from(key).unwrap()));
        }
        assert!(ledger.is_crowded());
        ledger.forget_dead(|_| true);
        assert!(!ledger.is_crowded());
    }

    #[test]
    fn a_page_is_kept_until_its_container_is_dead() {
        let ledger = Ledger::<u32>::default();
        *ledger.page(Key(1)).lock() = 7;
        *ledger.page(Key(2)).lock() = 8;
        ledger.forget_dead(|key| key == Key(1));
        assert_eq!(*ledger.page(Key(1)).lock(), 7);
        assert_eq!(*ledger.page(Key(2)).lock(), 0);
    }
}
