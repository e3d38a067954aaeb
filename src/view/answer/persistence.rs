//! A container's counters on the store, where the next daemon finds them.

use super::{Answers, load_sampling, saved_counters::SavedCounters, state::ContainerState};
use crate::base::{
    state::{Kind, Store},
    units::Key,
};
use std::sync::Arc;

impl Answers {
    /// Goes on with the counters that a daemon before this one left on the store, and keeps those
    /// to come there. What is corrupt there counts as absent.
    #[must_use]
    pub fn with_store(mut self, store: Arc<Store>) -> Answers {
        for key in store.keys(Kind::Container).into_iter().map(Key) {
            let kept = store.get(Kind::Container, key.0);
            match kept.as_deref().and_then(SavedCounters::parse) {
                Some(kept) => self.restore(key, kept),
                None => tracing::warn!(container = key.0, "its counters are lost: they start anew"),
            }
        }
        self.store = Some(store);
        self
    }

    fn restore(&self, key: Key, kept: SavedCounters) {
        let now = (self.now)();
        let is_read_recently = kept
            .load
            .is_some_and(|load| load_sampling::is_read_recently(&load, now));
        // The container may be dead.
        if is_read_recently && let Ok(container) = self.container(key) {
            self.load_watch.watch(&container);
        }
        let state = self.containers.entry(key);
        let mut state = state.lock();
        state.clock = kept.clock;
        state.load = kept.load;
        if let Some(birth) = kept.birth {
            state.birth.recall(birth);
        }
    }

    /// Keeps the container's counters for a successor.
    pub(super) fn save(&self, key: Key, state: &ContainerState) {
        if let Some(store) = &self.store {
            store.put(Kind::Container, key.0, &SavedCounters::of(state).bytes());
        }
    }

    /// Forgets the counters of a container that is dead.
    pub(super) fn remove_saved(&self, key: Key) {
        if let Some(store) = &self.store {
            store.remove(Kind::Container, key.0);
        }
    }
}
