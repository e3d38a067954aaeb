//! The load averages: sampled every five seconds, for containers whose load was read recently.

use super::{
    answers::Answers, cached_facts::SLOW_FACT_MAX_AGE, error::AnswerError, state::SampledLoad,
};
use crate::{
    facts::container::{Census, Container},
    view::model::{
        self,
        load::{Averages, Loadavg, PERIOD_SECONDS, Tasks},
    },
};
use std::{sync::Arc, time::Duration};

impl Answers {
    /// Returns `/proc/loadavg` as the container sees it. The first read returns averages as if the
    /// present number of active tasks had been active since the container's birth, and starts the
    /// sampling.
    ///
    /// # Errors
    /// When the tasks of the container cannot be counted, and no earlier count is known.
    pub fn loadavg(&self, container: &Container) -> Result<Loadavg, AnswerError> {
        let tasks = self.tasks(container)?;
        let birth = self.birth(container);
        let now = (self.now)();
        let state = self.containers.entry(container.key);
        let mut state = state.lock();
        let active = model::load::active(&tasks);
        let load = match state.load {
            Some(load) if load.is_sampled(now) => load,
            Some(load) if load.is_known(now) => load.sampled_until(now, active),
            _ => SampledLoad {
                averages: Averages::starting_at(active, model::time::uptime(birth, now)),
                sampled: now,
                read: now,
            },
        };
        state.load = Some(SampledLoad { read: now, ..load });
        self.save(container.key, &state);
        drop(state);
        self.load_watch.add(container);
        Ok(model::load::loadavg(load.averages, &tasks))
    }

    /// Returns the number of tasks by state, from a count that is less than a second old. While
    /// another reader counts, returns the last count.
    pub(super) fn tasks(&self, container: &Container) -> Result<Tasks, AnswerError> {
        let state = self.containers.entry(container.key);
        let known = || state.lock().tasks.within(SLOW_FACT_MAX_AGE, (self.now)());
        if let Some(tasks) = known() {
            return Ok(tasks);
        }
        let census = Arc::clone(&state.lock().census);
        let last = state.lock().tasks.last();
        let mut census = match (census.try_lock(), last) {
            (Some(census), _) => census,
            (None, Some(tasks)) => return Ok(tasks),
            (None, None) => census.lock(),
        };
        if let Some(tasks) = known() {
            return Ok(tasks);
        }
        match self.count_tasks(container, &mut census) {
            Ok(tasks) => Ok(state.lock().tasks.set((self.now)(), tasks)),
            Err(error) => state.lock().tasks.last().ok_or(error),
        }
    }

    fn count_tasks(
        &self,
        container: &Container,
        census: &mut Census,
    ) -> Result<Tasks, AnswerError> {
        let tasks = census.count(container, &self.cgroups, &self.machine);
        tasks.map_err(|source| AnswerError::Container {
            key: container.key,
            source,
        })
    }

    /// Takes the samples that are due. A container whose load was not read recently, or whose
    /// tasks cannot be counted, is sampled no more.
    fn sample(&self) {
        let now = (self.now)();
        for container in self.load_watch.containers() {
            let state = self.containers.entry(container.key);
            let (load, census) = {
                let state = state.lock();
                (state.load, Arc::clone(&state.census))
            };
            let load = load.filter(|load| load.is_watched(now));
            let tasks = self.count_tasks(&container, &mut census.lock());
            let (Some(load), Ok(tasks)) = (load, tasks) else {
                self.load_watch.remove(container.key);
                continue;
            };
            let mut state = state.lock();
            state.tasks.set((self.now)(), tasks);
            // A reader may have come since.
            let read = state.load.map_or(load.read, |load| load.read);
            let load = SampledLoad { read, ..load };
            state.load = Some(load.sampled_until(now, model::load::active(&tasks)));
            self.save(container.key, &state);
        }
        self.forget_dead();
    }
}

/// Samples the load of containers for ever: every five seconds while at least one is watched.
/// Sleeps otherwise.
pub fn sample_loads(answers: &Arc<Answers>) -> ! {
    loop {
        answers.load_watch.wait();
        std::thread::sleep(Duration::from_secs(PERIOD_SECONDS));
        answers.sample();
    }
}
