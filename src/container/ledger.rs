//! What is remembered of each container between two reads; the dead are forgotten.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// A page for each container, by key. One container's readers never wait for another's.
#[derive(Debug)]
pub struct Ledger<T> {
    pages: Mutex<HashMap<u64, Arc<Mutex<T>>>>,
}

impl<T> Default for Ledger<T> {
    fn default() -> Ledger<T> {
        Ledger {
            pages: Mutex::new(HashMap::new()),
        }
    }
}

impl<T: Default> Ledger<T> {
    /// The page of the container `key`; a fresh one at its first read.
    #[must_use]
    pub fn page(&self, key: u64) -> Arc<Mutex<T>> {
        Arc::clone(self.pages.lock().entry(key).or_default())
    }

    /// The page of the container `key`, if it has read before.
    #[must_use]
    pub fn known(&self, key: u64) -> Option<Arc<Mutex<T>>> {
        self.pages.lock().get(&key).map(Arc::clone)
    }

    /// Every page, with the container's key, in no order.
    #[must_use]
    pub fn pages(&self) -> Vec<(u64, Arc<Mutex<T>>)> {
        let pages = self.pages.lock();
        pages
            .iter()
            .map(|(key, page)| (*key, Arc::clone(page)))
            .collect()
    }

    /// Forgets the containers of which `is_alive` says that they are gone.
    pub fn forget_dead(&self, is_alive: impl Fn(u64) -> bool) {
        let dead: Vec<u64> = self
            .pages()
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| !is_alive(*key))
            .collect();
        let mut pages = self.pages.lock();
        for key in dead {
            pages.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_kept_until_its_container_is_dead() {
        let ledger = Ledger::<u32>::default();
        *ledger.page(1).lock() = 7;
        *ledger.page(2).lock() = 8;
        ledger.forget_dead(|key| key == 1);
        assert_eq!(*ledger.page(1).lock(), 7);
        assert_eq!(*ledger.page(2).lock(), 0);
    }
}
