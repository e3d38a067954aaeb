//! The CPU clock and the birth of a container: state that goes on from one read to the next.

use super::{answers::Answers, cached_facts::SLOW_FACT_MAX_AGE, error::AnswerError};
use crate::{
    facts::container::{self, Container},
    view::model::{self, stat::Clock, time::Birth},
};

impl Answers {
    /// Moves the clock of the container to the moment of its CPU facts, and returns the clock.
    pub(super) fn clock(&self, container: &Container, birth: Birth) -> Result<Clock, AnswerError> {
        // The facts are a little older than the moment that they are booked at, never newer:
        // use from the future would have to be subtracted later. The facts are not much older
        // either: later use would be booked as idle.
        let facts = self.cpu_facts(container)?;
        let (now, usage, seen) = (facts.at, &facts.value.cpu.usage, &facts.value.seen);
        let state = self.containers.entry(container.key);
        let mut state = state.lock();
        let clock = match &state.clock {
            Some(clock) => clock.at(seen, usage, now),
            None => Clock::started(seen, usage, model::time::uptime(birth, now), now),
        };
        state.clock = Some(clock.clone());
        self.save(container.key, &state);
        Ok(clock)
    }

    /// Returns the birth of the container, found less than a second ago. A container without a
    /// process keeps its last known birth; without one, the birth is now.
    pub(super) fn birth(&self, container: &Container) -> Birth {
        let now = (self.now)();
        let state = self.containers.entry(container.key);
        let known = {
            let state = state.lock();
            if let Some(birth) = state.birth.within(SLOW_FACT_MAX_AGE, now) {
                return birth;
            }
            state.init.zip(state.birth.last())
        };
        let facts = (&self.cgroups, &self.machine);
        let found = container::birth(container, &self.callers, facts, known);
        let now = (self.now)();
        let mut state = state.lock();
        // The last process may have left, or the first one is still to come.
        let last = (None, state.birth.last().unwrap_or(Birth::Started(now)));
        let (init, birth) = found.unwrap_or(last);
        state.init = init;
        state.birth.set(now, birth)
    }
}
