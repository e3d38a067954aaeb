//! State that is remembered of each container between two reads, until the container is gone.

use crate::base::units::Key;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The number of entries below which no search for removed containers is made.
const MIN_CLEANUP_AT: usize = 64;

/// An entry for each container, by key, each behind a lock of its own: readers of one container
/// never wait for readers of another.
#[derive(Debug)]
pub struct PerContainer<T> {
    entries: Mutex<HashMap<Key, Arc<Mutex<T>>>>,
    /// The number of entries at which [`PerContainer::has_doubled`] returns true.
    cleanup_at: AtomicUsize,
}

impl<T> Default for PerContainer<T> {
    fn default() -> PerContainer<T> {
        PerContainer {
            entries: Mutex::new(HashMap::new()),
            cleanup_at: AtomicUsize::new(MIN_CLEANUP_AT),
        }
    }
}

impl<T: Default> PerContainer<T> {
    /// Returns the entry of the container `key`, and makes it at the first call.
    #[must_use]
    pub fn entry(&self, key: Key) -> Arc<Mutex<T>> {
        Arc::clone(self.entries.lock().entry(key).or_default())
    }

    /// Returns the entry of the container `key`; `None` if [`PerContainer::entry`] never made one.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Arc<Mutex<T>>> {
        self.entries.lock().get(&key).map(Arc::clone)
    }

    /// Returns every entry with the key of its container, in no order.
    #[must_use]
    pub fn entries(&self) -> Vec<(Key, Arc<Mutex<T>>)> {
        let entries = self.entries.lock();
        entries
            .iter()
            .map(|(key, entry)| (*key, Arc::clone(entry)))
            .collect()
    }

    /// Returns whether the number of entries has doubled since [`PerContainer::forget_dead`] last
    /// ran. A caller that cleans up only then spends a constant time per container on it.
    #[must_use]
    pub fn has_doubled(&self) -> bool {
        self.entries.lock().len() >= self.cleanup_at.load(Ordering::Relaxed)
    }

    /// Removes the entries of the containers that `is_alive` denies. `is_alive` runs without the
    /// lock.
    pub fn forget_dead(&self, is_alive: impl Fn(Key) -> bool) {
        let dead: Vec<Key> = self
            .entries()
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| !is_alive(*key))
            .collect();
        let mut entries = self.entries.lock();
        for key in dead {
            entries.remove(&key);
        }
        let cleanup_at = entries.len().saturating_mul(2).max(MIN_CLEANUP_AT);
        self.cleanup_at.store(cleanup_at, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_due_when_the_entries_have_doubled() {
        let states = PerContainer::<u32>::default();
        for key in 0..MIN_CLEANUP_AT {
            assert!(!states.has_doubled());
            let _ = states.entry(Key(u64::try_from(key).unwrap()));
        }
        assert!(states.has_doubled());
        states.forget_dead(|_| true);
        assert!(!states.has_doubled());
    }

    #[test]
    fn an_entry_is_kept_until_its_container_is_dead() {
        let states = PerContainer::<u32>::default();
        *states.entry(Key(1)).lock() = 7;
        *states.entry(Key(2)).lock() = 8;
        states.forget_dead(|key| key == Key(1));
        assert_eq!(*states.entry(Key(1)).lock(), 7);
        assert_eq!(*states.entry(Key(2)).lock(), 0);
    }
}
