//! Counters of a container that outlive the daemon, as bytes: the CPU clock and the birth, so that
//! no counter runs backwards or starts anew, and the load.
//!
//! An entry of the store is a list of little-endian 64-bit numbers, in this order: the kind of
//! birth (0 none, 1 offset of a time namespace, 2 start) and its time; 1 and five numbers of the
//! load, or 0; 1 and the [numbers of the clock](Clock::numbers), or 0.

use super::state::{ContainerState, SampledLoad};
use crate::{
    base::units::Micros,
    view::model::{load::Averages, stat::Clock, time::Birth},
};

/// Counters of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SavedCounters {
    pub(super) clock: Option<Clock>,
    pub(super) birth: Option<Birth>,
    pub(super) load: Option<SampledLoad>,
}

impl SavedCounters {
    /// Returns the counters in that state.
    pub(super) fn of(state: &ContainerState) -> SavedCounters {
        SavedCounters {
            clock: state.clock.clone(),
            birth: state.birth.last(),
            load: state.load,
        }
    }

    /// Encodes the counters.
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

    /// Decodes the counters; `None` where numbers are missing or make no clock.
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
    use crate::{
        base::{
            state::{Kind, Store},
            units::CpuSet,
        },
        facts::cgroup::CpuUse,
    };
    use proptest::prelude::{any, proptest};

    fn saved(load: u64, offset: i64) -> SavedCounters {
        let cpus = CpuSet::parse("0-1").unwrap();
        let now = Micros(1_000_000);
        SavedCounters {
            clock: Some(Clock::started(&cpus, &CpuUse::default(), now, now)),
            birth: Some(Birth::Offset(offset)),
            load: Some(SampledLoad {
                averages: Averages::starting_at(load, now),
                sampled: now,
                read: now,
            }),
        }
    }

    #[test]
    fn the_counters_that_a_release_has_left_are_understood() {
        for store in Store::of_releases() {
            let keys = store.keys(Kind::Container).into_iter();
            let saved = keys.map(|key| {
                let bytes = store.get(Kind::Container, key).unwrap();
                SavedCounters::parse(&bytes).unwrap()
            });
            let mut all = saved.filter(|it| it.clock.is_some() && it.load.is_some());
            assert!(all.any(|it| it.birth.is_some()));
        }
    }

    #[test]
    fn nothing_is_saved_of_an_empty_state() {
        let nothing = SavedCounters::default();
        assert_eq!(SavedCounters::parse(&nothing.bytes()), Some(nothing));
    }

    proptest! {
        #[test]
        fn saved_counters_are_read_as_they_were_written(load in 0u64..1 << 40, offset: i64) {
            let saved = saved(load, offset);
            assert_eq!(SavedCounters::parse(&saved.bytes()), Some(saved));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let _ = SavedCounters::parse(&bytes);
        }
    }
}
