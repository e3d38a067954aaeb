//! Containers whose load averages are sampled, and the samples.

use super::state::SampledLoad;
use crate::{
    base::units::{Key, Micros},
    facts::container::Container,
    view::model::load::PERIOD_SECONDS,
};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;

/// Time between two samples.
pub(super) const SAMPLE_PERIOD: Micros = Micros(PERIOD_SECONDS * 1_000_000);
// A monitor that reads every minute should find averages, not the load of the moment.
const LOAD_WATCH_TIMEOUT: Micros = Micros(90 * 1_000_000);

// After this time the oldest average has forgotten nearly all that it knew.
const LOAD_MEMORY: Micros = Micros(2 * 3600 * 1_000_000);

/// Containers whose load is sampled.
#[derive(Debug, Default)]
pub(super) struct LoadWatch {
    watched: Mutex<BTreeMap<Key, Container>>,
    added: Condvar,
}

impl LoadWatch {
    /// Adds a container, and wakes [`LoadWatch::wait`].
    pub(super) fn add(&self, container: &Container) {
        let mut watched = self.watched.lock();
        if watched.insert(container.key, container.clone()).is_none() {
            self.added.notify_one();
        }
    }

    /// Removes a container.
    pub(super) fn remove(&self, key: Key) {
        self.watched.lock().remove(&key);
    }

    /// Returns a copy of all containers.
    pub(super) fn containers(&self) -> Vec<Container> {
        self.watched.lock().values().cloned().collect()
    }

    /// Blocks until there is a container.
    pub(super) fn wait(&self) {
        let mut watched = self.watched.lock();
        while watched.is_empty() {
            self.added.wait(&mut watched);
        }
    }
}

impl SampledLoad {
    /// Returns whether a reader asked for this load so recently that sampling goes on.
    pub(super) fn is_watched(&self, now: Micros) -> bool {
        now.less(self.read) < LOAD_WATCH_TIMEOUT
    }

    /// Returns whether the samples go on, so that no reader needs to take one.
    pub(super) fn is_sampled(&self, now: Micros) -> bool {
        now.less(self.sampled) < SAMPLE_PERIOD.times(3)
    }

    /// Returns whether the last sample still counts for the averages.
    pub(super) fn is_known(&self, now: Micros) -> bool {
        now.less(self.sampled) < LOAD_MEMORY
    }

    /// Takes the samples that are due at `now`, each with `active` tasks. A late sample stands for
    /// the missed ones too.
    pub(super) fn sampled_until(mut self, now: Micros, active: u64) -> SampledLoad {
        // The kernel's timer has a jiffy of play as well.
        let play = Micros(SAMPLE_PERIOD.0 / 10);
        while now.less(self.sampled).plus(play) >= SAMPLE_PERIOD {
            self.averages = self.averages.after(active);
            self.sampled = self.sampled.plus(SAMPLE_PERIOD);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::model::load::Averages;

    fn unsampled() -> SampledLoad {
        SampledLoad {
            averages: Averages::default(),
            sampled: Micros::ZERO,
            read: Micros::ZERO,
        }
    }

    #[test]
    fn a_late_sample_stands_for_those_that_were_missed() {
        let late = unsampled().sampled_until(Micros(10_100_000), 1);
        let twice = Averages::default().after(1).after(1);
        let sampled = SAMPLE_PERIOD.times(2);
        assert_eq!((late.averages, late.sampled), (twice, sampled));
    }

    #[test]
    fn nothing_is_sampled_before_it_is_due() {
        let early = unsampled().sampled_until(Micros(2_000_000), 9);
        assert_eq!(early.sampled, Micros::ZERO);
    }
}
