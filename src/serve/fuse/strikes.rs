//! The containers whose requests no daemon could answer: each such request is a strike, and three
//! refuse the container's direct files for a while.

use super::error::ReplyError;
use crate::base::{
    state::{Kind, Store, words},
    units::{Key, Micros},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The number of strikes that refuse a container's direct files.
const MAX_STRIKES: u64 = 3;
/// The time for which the files are refused.
const REFUSAL: Micros = Micros(60 * 1_000_000);
/// The time after which earlier strikes are forgotten.
const MEMORY: Micros = Micros(600 * 1_000_000);

/// The strikes of each container, recorded in the store for a successor too.
#[derive(Debug)]
pub(super) struct Strikes {
    store: Arc<Store>,
    /// True if there are strikes at all, to spare most requests the lock.
    is_any: AtomicBool,
    strikes: Mutex<HashMap<Key, Struck>>,
}

/// The strikes of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Struck {
    count: u64,
    /// The moment of the last strike on the boot clock.
    last: Micros,
}

impl Strikes {
    /// Takes over the strikes that daemons before this one have recorded.
    pub(super) fn of(store: Arc<Store>) -> Strikes {
        let keys = store.keys(Kind::Strikes).into_iter();
        let struck = |key: u64| Some((Key(key), Struck::parse(&store.get(Kind::Strikes, key)?)?));
        let strikes: HashMap<Key, Struck> = keys.filter_map(struck).collect();
        Strikes {
            is_any: AtomicBool::new(!strikes.is_empty()),
            strikes: Mutex::new(strikes),
            store,
        }
    }

    /// Records a strike at the moment `now`, and forgets old ones. Returns whether the container's
    /// direct files are refused from now on.
    pub(super) fn add(&self, key: Key, now: Micros) -> bool {
        let mut strikes = self.strikes.lock();
        strikes.retain(|key, struck| {
            let is_young = now.less(struck.last) < MEMORY;
            if !is_young {
                self.store.remove(Kind::Strikes, key.0);
            }
            is_young
        });
        let struck = strikes.entry(key).or_insert(Struck {
            count: 0,
            last: now,
        });
        *struck = Struck {
            count: struck.count.saturating_add(1),
            last: now,
        };
        self.store.put(Kind::Strikes, key.0, &struck.record());
        self.is_any.store(true, Ordering::Relaxed);
        struck.count >= MAX_STRIKES
    }

    /// Returns an error while the direct files of the container are refused.
    pub(super) fn permits(&self, key: Key, now: Micros) -> Result<(), ReplyError> {
        if !self.is_any.load(Ordering::Relaxed) {
            return Ok(());
        }
        let struck = self.strikes.lock().get(&key).copied();
        match struck {
            Some(struck) if struck.count >= MAX_STRIKES && now.less(struck.last) < REFUSAL => {
                Err(ReplyError::Refused)
            }
            _ => Ok(()),
        }
    }
}

impl Struck {
    /// Returns the record for a successor: the count and the moment, 8 bytes little endian each.
    fn record(self) -> Vec<u8> {
        [self.count, self.last.0].map(u64::to_le_bytes).concat()
    }

    fn parse(record: &[u8]) -> Option<Struck> {
        let [count, last] = words(record)?;
        let last = Micros(last);
        Some(Struck { count, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = Micros(1_000_000);

    #[test]
    fn three_strikes_refuse_a_containers_files_for_a_minute_across_daemons() {
        let store = Arc::new(Store::new().unwrap());
        let now = Micros(5_000_000_000);
        for count in 1..=3 {
            // Each strike ends a daemon.
            let strikes = Strikes::of(Arc::clone(&store));
            assert!(strikes.permits(Key(1), now).is_ok());
            assert_eq!(strikes.add(Key(1), now), count == 3);
        }
        let strikes = Strikes::of(store);
        assert!(matches!(
            strikes.permits(Key(1), now.plus(SECOND)),
            Err(ReplyError::Refused)
        ));
        assert!(strikes.permits(Key(2), now).is_ok());
        assert!(strikes.permits(Key(1), now.plus(REFUSAL)).is_ok());
        assert!(strikes.add(Key(1), now.plus(REFUSAL)));
        assert!(!strikes.add(Key(1), now.plus(REFUSAL).plus(MEMORY)));
    }
}
