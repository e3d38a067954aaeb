//! Pure. A clock as numbers, to outlive the process.
//!
//! The order is: the moment; the owed user, nice and system time; the use of user, system, nice and
//! throttled time; then three lists, each with its length first: the use by CPU (the length is one
//! more, and 0 where the kernel does not count by CPU), the seen CPUs, the columns of every CPU.

use super::clock::{BusyTime, Clock, Times};
use crate::{
    base::units::{CpuId, Micros},
    facts::cgroup::{CpuShare, CpuUse},
};
use std::collections::BTreeMap;

impl Clock {
    /// Returns the numbers of the clock.
    #[must_use]
    pub fn numbers(&self) -> Vec<u64> {
        let usage = &self.usage;
        let shares = usage.per_cpu.as_deref();
        let shares_length = shares.map_or(0, |shares| length(shares.len()) + 1);
        let seen: Vec<CpuId> = self.seen.iter().collect();
        let mut numbers = vec![
            self.at.0,
            self.owed.user.0,
            self.owed.nice.0,
            self.owed.system.0,
            usage.user.0,
            usage.system.0,
            usage.nice.0,
            usage.throttled.0,
            shares_length,
        ];
        for share in shares.into_iter().flatten() {
            let times = [share.total.0, share.user.0, share.system.0];
            numbers.push(share.cpu.0.into());
            numbers.extend(times);
        }
        numbers.push(length(seen.len()));
        numbers.extend(seen.into_iter().map(|CpuId(cpu)| u64::from(cpu)));
        numbers.push(length(self.times.len()));
        for (CpuId(cpu), times) in &self.times {
            numbers.push((*cpu).into());
            let busy = [times.user.0, times.nice.0, times.system.0];
            numbers.extend(busy);
            numbers.extend([times.idle.0, times.steal.0]);
        }
        numbers
    }

    /// Takes the numbers of a clock from the iterator; `None` if the numbers make no clock.
    pub fn of_numbers(numbers: &mut impl Iterator<Item = u64>) -> Option<Clock> {
        let at = time(numbers)?;
        let owed = BusyTime {
            user: time(numbers)?,
            nice: time(numbers)?,
            system: time(numbers)?,
        };
        let usage = CpuUse {
            user: time(numbers)?,
            system: time(numbers)?,
            nice: time(numbers)?,
            throttled: time(numbers)?,
            // Without earlier counts of an ancestor the clock goes by the ancestor's average.
            above: Vec::new(),
            per_cpu: match numbers.next()?.checked_sub(1) {
                Some(length) => Some((0..length).map(|_| share(numbers)).collect::<Option<_>>()?),
                None => None,
            },
        };
        let seen = (0..numbers.next()?).map(|_| cpu(numbers));
        let seen: Option<Vec<CpuId>> = seen.collect();
        let times = (0..numbers.next()?).map(|_| columns(numbers));
        let times: Option<BTreeMap<CpuId, Times>> = times.collect();
        Some(Clock {
            at,
            seen: seen?.into_iter().collect(),
            usage,
            owed,
            times: times?,
        })
    }
}

// The number of CPUs of any machine fits.
fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(0)
}

fn time(numbers: &mut impl Iterator<Item = u64>) -> Option<Micros> {
    numbers.next().map(Micros)
}

fn cpu(numbers: &mut impl Iterator<Item = u64>) -> Option<CpuId> {
    u32::try_from(numbers.next()?).ok().map(CpuId)
}

fn share(numbers: &mut impl Iterator<Item = u64>) -> Option<CpuShare> {
    Some(CpuShare {
        cpu: cpu(numbers)?,
        total: time(numbers)?,
        user: time(numbers)?,
        system: time(numbers)?,
    })
}

fn columns(numbers: &mut impl Iterator<Item = u64>) -> Option<(CpuId, Times)> {
    Some((
        cpu(numbers)?,
        Times {
            user: time(numbers)?,
            nice: time(numbers)?,
            system: time(numbers)?,
            idle: time(numbers)?,
            steal: time(numbers)?,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::CpuSet;
    use proptest::prelude::{any, prop, proptest};

    fn usage(used: &[u32], is_v1: bool) -> CpuUse {
        let times: Vec<Micros> = used.iter().map(|time| Micros(u64::from(*time))).collect();
        let share = |(cpu, total): (u32, &Micros)| CpuShare {
            cpu: CpuId(cpu),
            total: *total,
            user: Micros(total.0 / 2),
            system: Micros(total.0 / 3),
        };
        CpuUse {
            user: times[0],
            nice: Micros(times[0].0 / 2),
            system: times[1],
            throttled: times[2],
            above: Vec::new(),
            per_cpu: is_v1.then(|| (0..).zip(&times).map(share).collect()),
        }
    }

    proptest! {
        #[test]
        fn a_clock_is_read_as_it_was_written(
            used in prop::collection::vec(any::<u32>(), 3..20),
            is_v1: bool,
            cpus in prop::collection::vec(0u32..300, 1..20),
            now in 1u64..1 << 50,
        ) {
            let seen: CpuSet = cpus.into_iter().map(CpuId).collect();
            let clock = Clock::started(&seen, &usage(&used, is_v1), Micros(now / 2), Micros(now));
            let mut numbers = clock.numbers().into_iter();
            assert_eq!(Clock::of_numbers(&mut numbers), Some(clock));
            assert_eq!(numbers.next(), None);
        }

        #[test]
        fn no_numbers_make_the_reader_panic_or_run_away(
            numbers in prop::collection::vec(any::<u64>(), 0..40)
        ) {
            let _ = Clock::of_numbers(&mut numbers.into_iter());
        }
    }
}
