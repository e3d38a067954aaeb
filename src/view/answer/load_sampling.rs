//! The load averages: sampled every five seconds, for containers whose load was read lately.

use super::{AnswerError, Answers, SLOW_FACT_MAX_AGE, state::SampledLoad};
use crate::{
    base::units::{Key, Micros},
    facts::container::{self, Container, Youngest},
    view::model::{
        self,
        load::{Averages, Loadavg, PERIOD_SECONDS, Tasks},
    },
};
use parking_lot::{Condvar, Mutex};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const SAMPLE_PERIOD: Micros = Micros(PERIOD_SECONDS * 1_000_000);
// A monitor that asks every minute should find averages, not the load of the moment.
const LOAD_WATCH_TIMEOUT: Micros = Micros(90 * 1_000_000);

/// Whose load is wanted; rings when there is a first one.
#[derive(Debug, Default)]
pub(super) struct LoadWatch {
    wanted: Mutex<BTreeMap<Key, Container>>,
    first: Condvar,
}

impl LoadWatch {
    /// Has the container's load sampled from now on.
    pub(super) fn watch(&self, container: &Container) {
        let mut wanted = self.wanted.lock();
        if wanted.insert(container.key, container.clone()).is_none() {
            self.first.notify_one();
        }
    }
}

/// Whether somebody has read that load lately.
pub(super) fn is_read_recently(load: &SampledLoad, now: Micros) -> bool {
    now.less(load.read) < LOAD_WATCH_TIMEOUT
}

impl Answers {
    /// The container's load. The first read gives the present count, and starts the sampling.
    pub(super) fn load(&self, container: &Container) -> Result<Loadavg, AnswerError> {
        let tasks = self.tasks(container)?;
        let now = (self.now)();
        let state = self.containers.entry(container.key);
        let mut state = state.lock();
        let is_sampled = |load: &SampledLoad| now.less(load.sampled) < SAMPLE_PERIOD.times(3);
        let load = state.load.filter(is_sampled).unwrap_or(SampledLoad {
            averages: Averages::starting_at(model::load::active(&tasks)),
            sampled: now,
            read: now,
        });
        state.load = Some(SampledLoad { read: now, ..load });
        self.save(container.key, &state);
        drop(state);
        self.load_watch.watch(container);
        Ok(model::load::loadavg(load.averages, &tasks))
    }

    /// The container's tasks, at most a second ago; or as they were last, while another reader
    /// counts them.
    pub(super) fn tasks(&self, container: &Container) -> Result<Tasks, AnswerError> {
        let state = self.containers.entry(container.key);
        let known = || state.lock().tasks.within(SLOW_FACT_MAX_AGE, (self.now)());
        if let Some(tasks) = known() {
            return Ok(tasks);
        }
        let counting = Arc::clone(&state.lock().counting);
        let last = state.lock().tasks.last();
        let mut youngest = match (counting.try_lock(), last) {
            (Some(counting), _) => counting,
            (None, Some(tasks)) => return Ok(tasks),
            (None, None) => counting.lock(),
        };
        if let Some(tasks) = known() {
            return Ok(tasks);
        }
        match self.census(container, &mut youngest) {
            Ok(tasks) => Ok(state.lock().tasks.set((self.now)(), tasks)),
            Err(error) => state.lock().tasks.last().ok_or(error),
        }
    }

    fn census(
        &self,
        container: &Container,
        youngest: &mut Option<Youngest>,
    ) -> Result<Tasks, AnswerError> {
        let tasks = container::count(container, &self.cgroups, &self.machine, youngest);
        tasks.map_err(|source| AnswerError::Container {
            key: container.key,
            source,
        })
    }

    /// Takes the samples that are due; whoever nobody asks about any more is left out from now on.
    fn sample(&self) {
        let now = (self.now)();
        let wanted: Vec<Container> = self.load_watch.wanted.lock().values().cloned().collect();
        for container in wanted {
            let state = self.containers.entry(container.key);
            let (load, counting) = {
                let state = state.lock();
                (state.load, Arc::clone(&state.counting))
            };
            let load = load.filter(|load| is_read_recently(load, now));
            let census = self.census(&container, &mut counting.lock());
            let (Some(load), Ok(tasks)) = (load, census) else {
                self.load_watch.wanted.lock().remove(&container.key);
                continue;
            };
            let mut state = state.lock();
            state.tasks.set((self.now)(), tasks);
            let read = state.load.map_or(load.read, |load| load.read);
            state.load =
                Some(SampledLoad { read, ..load }.sampled_until(now, model::load::active(&tasks)));
            self.save(container.key, &state);
        }
        self.forget_dead();
    }
}

impl SampledLoad {
    // A sample that comes late stands for those that were missed, too.
    fn sampled_until(mut self, now: Micros, active: u64) -> SampledLoad {
        // The kernel's timer has a jiffy of play as well.
        let play = Micros(SAMPLE_PERIOD.0 / 10);
        while now.less(self.sampled).plus(play) >= SAMPLE_PERIOD {
            self.averages = self.averages.after(active);
            self.sampled = self.sampled.plus(SAMPLE_PERIOD);
        }
        self
    }
}

/// Samples for ever: every five seconds while somebody's load is wanted, and asleep otherwise.
pub fn sample_loads(answers: &Arc<Answers>) -> ! {
    loop {
        let mut wanted = answers.load_watch.wanted.lock();
        while wanted.is_empty() {
            answers.load_watch.first.wait(&mut wanted);
        }
        drop(wanted);
        std::thread::sleep(Duration::from_secs(PERIOD_SECONDS));
        answers.sample();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_sample_stands_for_those_that_were_missed() {
        let load = SampledLoad {
            averages: Averages::default(),
            sampled: Micros::ZERO,
            read: Micros::ZERO,
        };
        let late = load.sampled_until(Micros(10_100_000), 1);
        let twice = Averages::default().after(1).after(1);
        assert_eq!(
            (late.averages, late.sampled),
            (twice, SAMPLE_PERIOD.times(2))
        );
    }

    #[test]
    fn nothing_is_sampled_before_it_is_due() {
        let load = SampledLoad {
            averages: Averages::default(),
            sampled: Micros::ZERO,
            read: Micros::ZERO,
        };
        assert_eq!(
            load.sampled_until(Micros(2_000_000), 9).sampled,
            Micros::ZERO
        );
    }
}
