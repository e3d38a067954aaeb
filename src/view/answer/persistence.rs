//! A container's counters on the store, where the next daemon finds them.

use super::{Answers, load_sampling, saved_counters::Record, state::Page};
use crate::base::{
    state::{Kind, Store},
    units::Key,
};
use std::sync::Arc;

impl Answers {
    /// Goes on with the counters that a daemon before this one left on the store, and keeps those
    /// to come there. What is corrupt there counts as absent.
    #[must_use]
    pub fn kept_on(mut self, store: Arc<Store>) -> Answers {
        for key in store.keys(Kind::Container).into_iter().map(Key) {
            let kept = store.get(Kind::Container, key.0);
            match kept.as_deref().and_then(Record::parse) {
                Some(kept) => self.go_on(key, kept),
                None => tracing::warn!(container = key.0, "its counters are lost: they start anew"),
            }
        }
        self.store = Some(store);
        self
    }

    fn go_on(&self, key: Key, kept: Record) {
        let now = (self.now)();
        let is_wanted = kept
            .load
            .is_some_and(|load| load_sampling::is_wanted(&load, now));
        // The container may be dead.
        if is_wanted && let Ok(container) = self.container(key) {
            self.sampler.want(&container);
        }
        let page = self.ledger.entry(key);
        let mut page = page.lock();
        page.clock = kept.clock;
        page.load = kept.load;
        if let Some(birth) = kept.birth {
            page.birth.recall(birth);
        }
    }

    /// Keeps the container's counters for a successor.
    pub(super) fn keep(&self, key: Key, page: &Page) {
        if let Some(store) = &self.store {
            store.put(Kind::Container, key.0, &Record::of(page).bytes());
        }
    }

    /// Forgets the counters of a container that is dead.
    pub(super) fn drop_kept(&self, key: Key) {
        if let Some(store) = &self.store {
            store.remove(Kind::Container, key.0);
        }
    }
}
