//! Pure. The CPU time that a cgroup may use.

use crate::base::units::{Limit, Micros};
use std::{cmp::Ordering, fmt};

/// A CPU time that a cgroup may use in each period: `cpu.max`, or `cpu.cfs_quota_us` and
/// `cpu.cfs_period_us`.
///
/// Quotas are ordered by the share of a CPU that they grant.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    quota: Micros,
    period: Micros,
}

impl Quota {
    /// Makes a quota; `None` for a period of zero, which the kernel never has.
    #[must_use]
    pub fn new(quota: Micros, period: Micros) -> Option<Quota> {
        (period > Micros::ZERO).then_some(Quota { quota, period })
    }

    /// Returns the number of whole CPUs that hold the quota, rounded up, at least one.
    #[must_use]
    pub fn cpus(&self) -> usize {
        let cpus = self.quota.0.div_ceil(self.period.0).max(1);
        usize::try_from(cpus).unwrap_or(usize::MAX)
    }

    /// Returns the quota in thousandths of a CPU, rounded down.
    #[must_use]
    pub fn milli_cpus(&self) -> u64 {
        let share = u128::from(self.quota.0) * 1000 / u128::from(self.period.0.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    fn cross(&self, other: &Quota) -> (u128, u128) {
        (
            u128::from(self.quota.0) * u128::from(other.period.0),
            u128::from(other.quota.0) * u128::from(self.period.0),
        )
    }
}

/// The quotas of a container and its ancestors.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotas {
    /// The strictest quota, and the number of steps up to its cgroup.
    pub(super) strictest: Limit<Quota>,
    pub(super) steps: usize,
    /// The numbers of steps up to the ancestors that have a quota.
    pub(super) above: Vec<usize>,
}

impl Quotas {
    /// Adds the quota of the cgroup `steps` above the container's own.
    pub(super) fn and(mut self, quota: Limit<Quota>, steps: usize) -> Quotas {
        if steps > 0 && quota != Limit::Unlimited {
            self.above.push(steps);
        }
        let strictest = self.strictest.stricter(quota);
        if strictest != self.strictest {
            (self.strictest, self.steps) = (strictest, steps);
        }
        self
    }
}

/// Prints the quota and the period in microseconds.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} us", self.quota.0, self.period.0)
    }
}

impl Ord for Quota {
    fn cmp(&self, other: &Quota) -> Ordering {
        let (mine, theirs) = self.cross(other);
        mine.cmp(&theirs)
    }
}

impl PartialOrd for Quota {
    fn partial_cmp(&self, other: &Quota) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quota {
    fn eq(&self, other: &Quota) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quota {}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(quota: u64, period: u64) -> Quota {
        Quota::new(Micros(quota), Micros(period)).unwrap()
    }

    #[test]
    fn a_quota_is_rounded_up_to_whole_cpus() {
        assert_eq!(quota(250_000, 100_000).cpus(), 3);
        assert_eq!(quota(200_000, 100_000).cpus(), 2);
        assert_eq!(quota(1_000, 100_000).cpus(), 1);
        assert_eq!(quota(0, 100_000).cpus(), 1);
        assert_eq!(Quota::new(Micros(1), Micros::ZERO), None);
    }

    #[test]
    fn a_quota_is_rounded_down_to_thousandths_of_a_cpu() {
        assert_eq!(quota(150_000, 100_000).milli_cpus(), 1500);
        assert_eq!(quota(1_000, 3_000).milli_cpus(), 333);
        assert_eq!(quota(u64::MAX, 1).milli_cpus(), u64::MAX);
    }

    #[test]
    fn quotas_compare_by_share_and_not_by_number() {
        assert!(quota(50_000, 10_000) > quota(400_000, 100_000));
        assert_eq!(quota(10, 10), quota(70, 70));
    }
}
