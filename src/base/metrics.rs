//! The table of the numbers that this program counts about itself.
//!
//! Each metric states its unit, its meaning and its stability. A metric that no code increments
//! fails the test `some_code_increments_each_metric`.

use std::sync::atomic::{AtomicU64, Ordering};

/// The promise about the name and the meaning of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// Name and meaning stay the same in every later version.
    Stable,
    /// Name and meaning may change in any version.
    Experimental,
}

/// A number that only grows while the process lives.
#[derive(Debug)]
pub struct Counter {
    /// The name in logs.
    pub name: &'static str,
    /// The thing that is counted, in the plural.
    pub unit: &'static str,
    /// The event that adds one, as a sentence.
    pub help: &'static str,
    /// The promise about `name` and `help`.
    pub stability: Stability,
    value: AtomicU64,
}

impl Counter {
    const fn stable(name: &'static str, unit: &'static str, help: &'static str) -> Counter {
        Counter {
            name,
            unit,
            help,
            stability: Stability::Stable,
            value: AtomicU64::new(0),
        }
    }

    /// Adds one.
    pub fn count(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the count since the start of the process.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// Files that were opened and answered.
pub static ANSWERS: Counter =
    Counter::stable("answers", "files", "A file was opened and answered.");

/// Answers from the last good facts, because the present facts could not be read.
pub static FALLBACKS: Counter = Counter::stable(
    "fallbacks",
    "answers",
    "An answer was made from the last good facts, because the present ones could not be read.",
);

/// Requests that were answered by an error, because no true answer was possible.
pub static FAILURES: Counter = Counter::stable(
    "failures",
    "requests",
    "A request was answered by an error, because no true answer was possible.",
);

/// Requests that panicked. Each was answered by an error.
pub static PANICS: Counter = Counter::stable(
    "panics",
    "requests",
    "A request panicked and was answered by an error.",
);

/// Reads of a part of a container's cgroups, levels or tasks, because all of them exceed the work
/// that one request may cause.
pub static PARTIAL_READS: Counter = Counter::stable(
    "partial_reads",
    "reads",
    "A part of the cgroups, levels or tasks of a container was read, because all are too many.",
);

/// Every counter.
pub static COUNTERS: [&Counter; 5] = [&ANSWERS, &FALLBACKS, &FAILURES, &PANICS, &PARTIAL_READS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_only_grows() {
        let counter = Counter::stable("x", "events", "An event happened.");
        counter.count();
        counter.count();
        assert_eq!(counter.value(), 2);
    }

    #[test]
    fn no_two_counters_share_a_name() {
        let mut names: Vec<&str> = COUNTERS.iter().map(|counter| counter.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COUNTERS.len());
    }
}
