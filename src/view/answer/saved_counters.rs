//! What outlives the daemon of a container's page: its counters, so that none runs backwards
//! or starts anew; and its load.

use super::state::{ContainerState, SampledLoad};
use crate::{
    base::units::Micros,
    view::model::{load::Averages, stat::Clock, time::Birth},
};

/// What is kept of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SavedCounters {
    pub(super) clock: Option<Clock>,
    pub(super) birth: Option<Birth>,
    pub(super) load: Option<SampledLoad>,
}

impl SavedCounters {
    pub(super) fn of(state: &ContainerState) -> SavedCounters {
        SavedCounters {
            clock: state.clock.clone(),
            birth: state.birth.last(),
            load: state.load,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut numbers = Vec::with_capacity(64);
        match self.birth {
            None => numbers.extend([0, 0]),
            Some(Birth::Offset(offset)) => numbers.extend([1, offset.cast_unsigned()]),
            Some(Birth::Started(Micros(started))) => numbers.extend([2, started]),
        }
        match &self.load {
            None => numbers.push(0),
            Some(load) => {
                numbers.push(1);
                numbers.extend(load.averages.numbers());
                numbers.extend([load.sampled.0, load.read.0]);
            }
        }
        numbers.push(self.clock.is_some().into());
        numbers.extend(self.clock.iter().flat_map(Clock::numbers));
        numbers.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<SavedCounters> {
        let (words, _) = bytes.as_chunks::<8>();
        let numbers = &mut words.iter().map(|word| u64::from_le_bytes(*word));
        let birth = match (numbers.next()?, numbers.next()?) {
            (1, offset) => Some(Birth::Offset(offset.cast_signed())),
            (2, started) => Some(Birth::Started(Micros(started))),
            _ => None,
        };
        let load = match numbers.next()? {
            0 => None,
            _ => Some(SampledLoad {
                averages: Averages::of_numbers([numbers.next()?, numbers.next()?, numbers.next()?]),
                sampled: Micros(numbers.next()?),
                read: Micros(numbers.next()?),
            }),
        };
        let clock = match numbers.next()? {
            0 => None,
            _ => Some(Clock::of_numbers(numbers)?),
        };
        Some(SavedCounters { clock, birth, load })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::units::CpuSet, facts::cgroup::CpuUse};
    use proptest::prelude::{any, proptest};

    fn kept(load: u64, offset: i64) -> SavedCounters {
        let cpus = CpuSet::parse("0-1").unwrap();
        let now = Micros(1_000_000);
        SavedCounters {
            clock: Some(Clock::started(&cpus, &CpuUse::default(), now, now)),
            birth: Some(Birth::Offset(offset)),
            load: Some(SampledLoad {
                averages: Averages::starting_at(load),
                sampled: now,
                read: now,
            }),
        }
    }

    #[test]
    fn nothing_is_kept_of_a_page_that_says_nothing() {
        let nothing = SavedCounters::default();
        assert_eq!(SavedCounters::parse(&nothing.bytes()), Some(nothing));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_as_it_was_written(load in 0u64..1 << 40, offset: i64) {
            let kept = kept(load, offset);
            assert_eq!(SavedCounters::parse(&kept.bytes()), Some(kept));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let _ = SavedCounters::parse(&bytes);
        }
    }
}
