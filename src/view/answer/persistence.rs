//! State of containers on the store, from which the next daemon goes on.

use super::{answers::Answers, saved_counters::SavedCounters, state::ContainerState};
use crate::base::{
    state::{Kind, Store},
    units::Key,
};
use std::sync::Arc;

impl Answers {
    /// Goes on with the counters that an earlier daemon left on the store, and saves the counters
    /// of all containers there from now on. A corrupt entry counts as absent.
    #[must_use]
    pub fn with_store(mut self, store: Arc<Store>) -> Answers {
        for key in store.keys(Kind::Container).into_iter().map(Key) {
            let saved = store.get(Kind::Container, key.0);
            match saved.as_deref().and_then(SavedCounters::parse) {
                Some(saved) => self.restore(key, saved),
                None => tracing::warn!(
                    container = key.0,
                    "counters of the container are lost, and start anew"
                ),
            }
        }
        self.store = Some(store);
        self
    }

    fn restore(&self, key: Key, saved: SavedCounters) {
        let now = (self.now)();
        let is_watched = saved.load.is_some_and(|load| load.is_watched(now));
        // The container may be dead.
        if is_watched && let Ok(container) = self.container(key) {
            self.load_watch.add(&container);
        }
        let state = self.containers.entry(key);
        let mut state = state.lock();
        state.clock = saved.clock;
        state.load = saved.load;
        if let Some(birth) = saved.birth {
            state.birth.restore(birth);
        }
    }

    /// Saves the counters of the container for the next daemon.
    pub(super) fn save(&self, key: Key, state: &ContainerState) {
        if let Some(store) = &self.store {
            store.put(Kind::Container, key.0, &SavedCounters::of(state).bytes());
        }
    }

    /// Removes the saved counters of a dead container.
    pub(super) fn remove_saved(&self, key: Key) {
        if let Some(store) = &self.store {
            store.remove(Kind::Container, key.0);
        }
    }
}
