//! The one table of what we count about ourselves.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows while the process lives.
#[derive(Debug)]
pub struct Counter {
    /// What it counts, in words that stay the same between versions.
    pub name: &'static str,
    value: AtomicU64,
}

impl Counter {
    const fn new(name: &'static str) -> Counter {
        Counter {
            name,
            value: AtomicU64::new(0),
        }
    }

    /// One more.
    pub fn count(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// Files that were opened and answered.
pub static ANSWERS: Counter = Counter::new("answers");
/// Answers made from the last good facts, because the present ones could not be read.
pub static FALLBACKS: Counter = Counter::new("fallbacks");
/// Requests that were answered by an error, because nothing true could be said.
pub static FAILURES: Counter = Counter::new("failures");
/// Requests that panicked; each was answered by an error.
pub static PANICS: Counter = Counter::new("panics");

/// Every counter.
pub static COUNTERS: [&Counter; 4] = [&ANSWERS, &FALLBACKS, &FAILURES, &PANICS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_only_grows() {
        let counter = Counter::new("x");
        counter.count();
        counter.count();
        assert_eq!(counter.value(), 2);
    }
}
