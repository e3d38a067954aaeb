//! Pure. Counts of durations in buckets that are 1.6% wide, so that any number of durations fits.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BITS: u32 = 6;
const BUCKETS: u64 = 1 << BITS;

/// The counts of durations in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    counts: Vec<(u64, u64)>,
    max: u64,
}

impl Histogram {
    /// Returns the number of durations.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Returns the maximum, in microseconds.
    pub(crate) fn max(&self) -> f64 {
        self.max as f64 / 1000.0
    }

    /// Adds the counts of another histogram.
    pub(crate) fn add(&mut self, other: &Histogram) {
        let mut counts: BTreeMap<u64, u64> = self.counts.iter().copied().collect();
        for (bucket, count) in &other.counts {
            *counts.entry(*bucket).or_default() += count;
        }
        self.counts = counts.into_iter().collect();
        self.max = self.max.max(other.max);
    }

    /// Returns the quantile of a share (0.5 is the median), in microseconds. None without a duration.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = self.count() as f64 * share;
        let mut below = 0.0;
        for (bucket, count) in &self.counts {
            let count = *count as f64;
            if below + count >= wanted {
                let (from, width) = range(*bucket);
                let within = (wanted - below) / count;
                let nanos = from as f64 + width as f64 * within;
                return Some((nanos / 1000.0).min(self.max()));
            }
            below += count;
        }
        None
    }
}

/// A histogram that counts fast, at the cost of memory.
pub(crate) struct Counter {
    counts: Vec<u64>,
    max: u64,
}

impl Counter {
    /// Returns a counter without a duration.
    pub(crate) fn new() -> Counter {
        let last = usize::try_from(bucket(u64::MAX)).unwrap();
        Counter {
            counts: vec![0; last + 1],
            max: 0,
        }
    }

    /// Counts a duration in nanoseconds.
    pub(crate) fn count(&mut self, nanos: u64) {
        self.max = self.max.max(nanos);
        if let Ok(at) = usize::try_from(bucket(nanos)) {
            self.counts[at] += 1;
        }
    }

    /// Asserts that no duration above 0 was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.max == 0
    }

    /// Returns the counts.
    pub(crate) fn histogram(&self) -> Histogram {
        let counts = (0..).zip(self.counts.iter().copied());
        Histogram {
            counts: counts.filter(|(_, count)| *count > 0).collect(),
            max: self.max,
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

/// Returns the first duration of a bucket, and the width of the bucket.
fn range(bucket: u64) -> (u64, u64) {
    match (bucket / BUCKETS).checked_sub(1) {
        Some(shift) => ((BUCKETS + bucket % BUCKETS) << shift, 1 << shift),
        None => (bucket, 1),
    }
}
