//! Pure. Durations counted in buckets that are 1.6% wide, so that any number of them fits.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BITS: u32 = 6;
const BUCKETS: u64 = 1 << BITS;

/// A count for each duration, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    counts: Vec<(u64, u64)>,
    largest: u64,
}

impl Histogram {
    /// Returns the number of durations.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The longest of all, in microseconds.
    pub(crate) fn largest(&self) -> f64 {
        self.largest as f64 / 1000.0
    }

    /// Adds what another one counted.
    pub(crate) fn add(&mut self, other: &Histogram) {
        let mut counts: BTreeMap<u64, u64> = self.counts.iter().copied().collect();
        for (bucket, count) in &other.counts {
            *counts.entry(*bucket).or_default() += count;
        }
        self.counts = counts.into_iter().collect();
        self.largest = self.largest.max(other.largest);
    }

    /// The duration that a share of them (0.5 is the median) does not exceed, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = self.count() as f64 * share;
        let mut below = 0.0;
        for (bucket, count) in &self.counts {
            let count = *count as f64;
            if below + count >= wanted {
                let (from, width) = range(*bucket);
                let within = (wanted - below) / count;
                let nanos = from as f64 + width as f64 * within;
                return Some((nanos / 1000.0).min(self.largest()));
            }
            below += count;
        }
        None
    }
}

/// Counts durations, fast.
pub(crate) struct Counter {
    counts: Vec<u64>,
    largest: u64,
}

impl Counter {
    /// Returns a counter without any duration.
    pub(crate) fn new() -> Counter {
        let last = usize::try_from(bucket(u64::MAX)).unwrap();
        Counter {
            counts: vec![0; last + 1],
            largest: 0,
        }
    }

    /// Counts one, in nanoseconds.
    pub(crate) fn count(&mut self, nanos: u64) {
        self.largest = self.largest.max(nanos);
        if let Ok(at) = usize::try_from(bucket(nanos)) {
            self.counts[at] += 1;
        }
    }

    /// Returns true if a duration was counted.
    pub(crate) fn any(&self) -> bool {
        self.largest > 0
    }

    /// Returns the counted durations.
    pub(crate) fn histogram(&self) -> Histogram {
        let counts = (0..).zip(self.counts.iter().copied());
        Histogram {
            counts: counts.filter(|(_, count)| *count > 0).collect(),
            largest: self.largest,
        }
    }
}

fn bucket(nanos: u64) -> u64 {
    match nanos.checked_ilog2() {
        Some(power) if power >= BITS => {
            let below = (nanos >> (power - BITS)) - BUCKETS;
            u64::from(power - BITS + 1) * BUCKETS + below
        }
        _ => nanos,
    }
}

/// The first duration in a bucket, and how many more it holds.
fn range(bucket: u64) -> (u64, u64) {
    match (bucket / BUCKETS).checked_sub(1) {
        Some(shift) => ((BUCKETS + bucket % BUCKETS) << shift, 1 << shift),
        None => (bucket, 1),
    }
}
