//! Pure. The numbers of a container, from two samples.

use super::listed::{ListedCpu, ListedMemory, Milli};
use crate::{
    base::units::{Limit, Micros},
    view::model::summary::Summary,
};

/// Returns the sizes of a container.
pub(super) fn memory(now: &Summary) -> ListedMemory {
    let sizes = now.memory;
    ListedMemory {
        limited: now.has_memory_limit(),
        total: sizes.total,
        used: now.used,
        available: sizes.available,
        free: sizes.free,
        swap_total: sizes.swap_total,
        swap_used: sizes.swapped(),
    }
}

/// Returns the CPUs of a container, with its use since the sample `before`.
pub(super) fn cpu(before: Option<&Summary>, now: &Summary) -> ListedCpu {
    let rates = before.and_then(|before| rates(before, now));
    let quota = match now.quota {
        Limit::At(quota) => Some(Milli::saturating(quota.milli_cpus().into())),
        Limit::Unlimited => None,
    };
    ListedCpu {
        limited: now.lacks_cpus,
        cpus: now.cpus,
        quota,
        used: rates.map(|rates| rates.used),
        throttled: rates.map(|rates| rates.throttled),
    }
}

/// The time for each second between two samples: thousandths of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rates {
    /// The CPU time used.
    used: Milli,
    /// The time for which quotas throttled the container.
    throttled: Milli,
}

/// Returns the rates between two samples; `None` where no time lies between them.
fn rates(before: &Summary, now: &Summary) -> Option<Rates> {
    let elapsed = now.at.less(before.at);
    if elapsed == Micros::ZERO {
        return None;
    }
    let busy = |summary: &Summary| {
        let times = summary.times;
        times.user.plus(times.nice).plus(times.system)
    };
    let rate = |time: Micros| {
        Milli::saturating(u128::from(time.0).saturating_mul(1000) / u128::from(elapsed.0))
    };
    Some(Rates {
        used: rate(busy(now).less(busy(before))),
        throttled: rate(now.times.steal.less(before.times.steal)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::{Bytes, Limit},
        view::model::{memory::Sizes, stat::Times},
    };

    fn sample(at: u64, user: u64, steal: u64) -> Summary {
        Summary {
            memory: Sizes::default(),
            used: None,
            machine: Bytes::ZERO,
            cpus: 1,
            lacks_cpus: false,
            quota: Limit::Unlimited,
            up: Micros::ZERO,
            at: Micros(at),
            times: Times {
                user: Micros(user),
                system: Micros(user),
                steal: Micros(steal),
                ..Times::default()
            },
        }
    }

    #[test]
    fn a_rate_is_the_time_used_for_each_second_that_has_passed() {
        let found = rates(&sample(1_000, 100, 0), &sample(201_000, 15_100, 4_000));
        let expected = Rates {
            used: Milli(150),
            throttled: Milli(20),
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn two_samples_of_one_moment_have_no_rate_and_a_counter_that_fell_is_no_use() {
        let (early, late) = (sample(1_000, 100, 9), sample(2_000, 50, 0));
        assert_eq!(rates(&early, &early), None);
        let found = rates(&early, &late).unwrap();
        assert_eq!((found.used, found.throttled), (Milli(0), Milli(0)));
    }
}
