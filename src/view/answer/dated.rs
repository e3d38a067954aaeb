//! Pure. A value with the moment it was read at.

use crate::base::units::Micros;

/// A value, and the moment it was read at on the boot clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dated<T> {
    pub(super) at: Micros,
    pub(super) value: T,
}

/// The last good value of a fact that is read repeatedly; empty before the first read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latest<T>(Option<Dated<T>>);

impl<T> Default for Latest<T> {
    fn default() -> Latest<T> {
        Latest(None)
    }
}

impl<T: Clone> Latest<T> {
    /// Returns the value if it is younger than `max_age` at `now`; never for an age of zero.
    pub(super) fn within(&self, max_age: Micros, now: Micros) -> Option<T> {
        self.dated_within(max_age, now).map(|latest| latest.value)
    }

    /// Returns the value with its moment if it is younger than `max_age` at `now`.
    pub(super) fn dated_within(&self, max_age: Micros, now: Micros) -> Option<Dated<T>> {
        let latest = self.0.as_ref()?;
        (now.less(latest.at) < max_age).then(|| latest.clone())
    }

    /// Returns the value, however old.
    pub(super) fn last(&self) -> Option<T> {
        self.0.as_ref().map(|latest| latest.value.clone())
    }

    /// Returns the moment at which the value was read; `None` before the first read.
    pub(super) fn read_at(&self) -> Option<Micros> {
        self.0.as_ref().map(|latest| latest.at)
    }

    /// Takes over the last value of an earlier daemon. The value counts as read at boot, so that
    /// the next reader reads anew.
    pub(super) fn restore(&mut self, value: T) {
        self.set(Micros::ZERO, value);
    }

    /// Stores a value that was read at `now`, and returns it.
    pub(super) fn set(&mut self, now: Micros, value: T) -> T {
        self.0 = Some(Dated {
            at: now,
            value: value.clone(),
        });
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_young_until_it_has_the_maximal_age() {
        let mut latest = Latest::default();
        latest.set(Micros(10), "value");
        assert_eq!(latest.within(Micros(5), Micros(14)), Some("value"));
        assert_eq!(latest.within(Micros(5), Micros(15)), None);
        assert_eq!(latest.within(Micros::ZERO, Micros(10)), None);
        assert_eq!(latest.last(), Some("value"));
    }
}
