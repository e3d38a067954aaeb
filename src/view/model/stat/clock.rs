//! Pure. The clock of a container's CPUs: time in each state since the container's birth.

use crate::{
    base::units::{CpuId, CpuSet, Micros},
    facts::cgroup::{AncestorThrottle, CpuShare, CpuUse},
};
use std::collections::BTreeMap;

/// Columns of one CPU that a container can fill. They only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of proc_stat(5)")]
pub struct Times {
    pub user: Micros,
    pub nice: Micros,
    pub system: Micros,
    pub idle: Micros,
    pub steal: Micros,
}

impl Times {
    /// Returns the columns, each rounded down to whole ticks.
    fn in_ticks(self) -> Times {
        let whole = |time: Micros| time.ticks().micros();
        Times {
            user: whole(self.user),
            nice: whole(self.nice),
            system: whole(self.system),
            idle: whole(self.idle),
            steal: whole(self.steal),
        }
    }

    fn plus(self, other: Times) -> Times {
        Times {
            user: self.user.plus(other.user),
            nice: self.nice.plus(other.nice),
            system: self.system.plus(other.system),
            idle: self.idle.plus(other.idle),
            steal: self.steal.plus(other.steal),
        }
    }
}

/// CPU times of a container, kept from one read to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clock {
    pub(super) at: Micros,
    pub(super) seen: CpuSet,
    pub(super) usage: CpuUse,
    pub(super) owed: BusyTime,
    pub(super) times: BTreeMap<CpuId, Times>,
}

/// CPU time used in user mode, in user mode with a nice value, and in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BusyTime {
    pub(super) user: Micros,
    pub(super) nice: Micros,
    pub(super) system: Micros,
}

impl BusyTime {
    fn total(self) -> Micros {
        self.user.plus(self.nice).plus(self.system)
    }

    fn plus(self, other: BusyTime) -> BusyTime {
        BusyTime {
            user: self.user.plus(other.user),
            nice: self.nice.plus(other.nice),
            system: self.system.plus(other.system),
        }
    }

    fn less(self, other: BusyTime) -> BusyTime {
        BusyTime {
            user: self.user.less(other.user),
            nice: self.nice.less(other.nice),
            system: self.system.less(other.system),
        }
    }

    /// Returns as much of the time as fits into `room`, in the same proportions.
    fn fitting(self, room: Micros) -> BusyTime {
        let total = self.total();
        if total <= room {
            return self;
        }
        let part = |time: Micros| {
            let part = u128::from(time.0) * u128::from(room.0) / u128::from(total.0);
            Micros(u64::try_from(part).unwrap_or(u64::MAX))
        };
        let mut fitting = BusyTime {
            user: part(self.user),
            nice: part(self.nice),
            system: part(self.system),
        };
        // Rounding leaves at most two microseconds over.
        let rest = room.less(fitting.total()).min(self.user.less(fitting.user));
        fitting.user = fitting.user.plus(rest);
        let rest = room.less(fitting.total()).min(self.nice.less(fitting.nice));
        fitting.nice = fitting.nice.plus(rest);
        fitting.system = room.less(fitting.user).less(fitting.nice);
        fitting
    }
}

impl Clock {
    /// Returns the clock at the first read of a container that has been up for `up`: all use of the
    /// cgroup, as far as it fits into that time.
    #[must_use]
    pub fn started(seen: &CpuSet, usage: &CpuUse, up: Micros, now: Micros) -> Clock {
        let unborn = Clock {
            at: now.less(up),
            ..Clock::default()
        };
        Clock {
            // A cgroup may be older than the container in it.
            owed: BusyTime::default(),
            ..unborn.at(seen, usage, now)
        }
    }

    /// Returns the clock at a later read.
    ///
    /// The times do not change if `now` is not later than the last read. A CPU that is seen at
    /// either end of the interval counts for the whole interval.
    #[must_use]
    pub fn at(&self, seen: &CpuSet, usage: &CpuUse, now: Micros) -> Clock {
        let elapsed = now.less(self.at);
        if elapsed == Micros::ZERO {
            return Clock {
                seen: seen.clone(),
                ..self.clone()
            };
        }
        let cpus: CpuSet = self.seen.iter().chain(seen.iter()).collect();
        let mut interval = Interval::new(&cpus, elapsed);
        let usage = &self.usage.latest(usage);
        let used = used(&self.usage, usage);
        let mut loose = self.owed.plus(used);
        for (cpu, work) in used_on(&self.usage, usage) {
            let placed = interval.place(cpu, work);
            loose = loose.less(placed);
        }
        let owed = loose.less(interval.spread(loose));
        interval.steal(throttled(&self.usage, usage, used.total()));
        let mut times = self.times.clone();
        for (cpu, passed) in interval.finished() {
            let sum = times.entry(cpu).or_default();
            *sum = sum.plus(passed);
        }
        Clock {
            at: now,
            seen: seen.clone(),
            usage: usage.clone(),
            owed,
            times,
        }
    }

    /// Returns the moment of the clock: that of the last read, on the machine's boot clock.
    #[must_use]
    pub fn moment(&self) -> Micros {
        self.at
    }

    /// Returns the seen CPUs and their columns.
    pub fn cpus(&self) -> impl Iterator<Item = (CpuId, Times)> + '_ {
        let times = |cpu| self.times.get(&cpu).copied().unwrap_or_default();
        self.seen.iter().map(move |cpu| (cpu, times(cpu)))
    }

    /// Returns the columns in whole ticks, summed over every CPU that was ever seen: the sum of the
    /// numbers that the lines of the CPUs have.
    #[must_use]
    pub fn total_of_ticks(&self) -> Times {
        let sum = |sum: Times, times: &Times| sum.plus(times.in_ticks());
        self.times.values().fold(Times::default(), sum)
    }

    /// Returns the columns summed over every CPU that was ever seen.
    #[must_use]
    pub fn total(&self) -> Times {
        self.times
            .values()
            .fold(Times::default(), |sum, times| sum.plus(*times))
    }
}

// An ancestor's throttled time is that of all cgroups below it: the container's part is as large as
// its part of the ancestor's use. Two levels do not throttle a CPU at the same time: a throttled
// level has nothing left to run that another level could throttle.
fn throttled(before: &CpuUse, now: &CpuUse, used: Micros) -> Micros {
    let own = now.throttled.less(before.throttled);
    let above = now.above.iter().map(|level| {
        let same = before.above.iter().find(|other| other.steps == level.steps);
        let earlier = same.copied().unwrap_or_default();
        part(level, &earlier, used)
    });
    above.fold(own, Micros::plus)
}

fn part(now: &AncestorThrottle, before: &AncestorThrottle, used: Micros) -> Micros {
    let throttled = now.throttled.less(before.throttled);
    let all = now.used.less(before.used).max(used);
    let part = u128::from(throttled.0) * u128::from(used.0) / u128::from(all.0.max(1));
    Micros(u64::try_from(part).unwrap_or(u64::MAX))
}

// Niced time is part of user time in the facts, but a column beside it in /proc/stat.
fn used(before: &CpuUse, now: &CpuUse) -> BusyTime {
    let user = now.user.less(before.user);
    let nice = now.nice.less(before.nice).min(user);
    let work = BusyTime {
        user: user.less(nice),
        nice,
        system: now.system.less(before.system),
    };
    used_on(before, now).fold(work, |sum, (_, work)| sum.plus(work))
}

fn used_on<'a>(
    before: &'a CpuUse,
    now: &'a CpuUse,
) -> impl Iterator<Item = (CpuId, BusyTime)> + 'a {
    let shares = now.per_cpu.iter().flatten();
    shares.map(|share| {
        let mut earlier = before.per_cpu.iter().flatten();
        let earlier = earlier.find(|earlier| earlier.cpu == share.cpu);
        (share.cpu, used_in(earlier, share))
    })
}

// The total is exact, but the kernel samples user and system time by ticks. So the two show only
// the proportion, as in the kernel's cputime_adjust (kernel/sched/cputime.c).
fn used_in(before: Option<&CpuShare>, now: &CpuShare) -> BusyTime {
    let since = |part: fn(&CpuShare) -> Micros| {
        let earlier = before.map_or(Micros::ZERO, part);
        part(now).less(earlier)
    };
    let total = since(|share| share.total);
    let parts = match (since(|share| share.user), since(|share| share.system)) {
        (Micros::ZERO, Micros::ZERO) => (now.user, now.system),
        parts => parts,
    };
    let (user, system) = (u128::from(parts.0.0), u128::from(parts.1.0));
    let user = match user + system {
        0 => total,
        both => {
            let user = u128::from(total.0) * user / both;
            Micros(u64::try_from(user).unwrap_or(u64::MAX))
        }
    };
    BusyTime {
        user,
        nice: Micros::ZERO,
        system: total.less(user),
    }
}

/// Interval of time on some CPUs, which use turns from idle into busy time.
struct Interval {
    cpus: Vec<(CpuId, Times)>,
}

impl Interval {
    /// Returns the interval of `elapsed` on `cpus`, all of it idle.
    fn new(cpus: &CpuSet, elapsed: Micros) -> Interval {
        let idle = Times {
            idle: elapsed,
            ..Times::default()
        };
        Interval {
            cpus: cpus.iter().map(|cpu| (cpu, idle)).collect(),
        }
    }

    /// Places as much of the use on that CPU as fits, and returns the placed use.
    fn place(&mut self, cpu: CpuId, work: BusyTime) -> BusyTime {
        let Some((_, times)) = self.cpus.iter_mut().find(|(other, _)| *other == cpu) else {
            return BusyTime::default();
        };
        let work = work.fitting(times.idle);
        *times = Times {
            user: times.user.plus(work.user),
            nice: times.nice.plus(work.nice),
            system: times.system.plus(work.system),
            idle: times.idle.less(work.total()),
            steal: times.steal,
        };
        work
    }

    /// Spreads as much of the use over all CPUs as fits, and returns the spread use.
    fn spread(&mut self, work: BusyTime) -> BusyTime {
        let room = self
            .cpus
            .iter()
            .fold(Micros::ZERO, |room, (_, times)| room.plus(times.idle));
        let work = work.fitting(room);
        self.fill(work.user, |times| &mut times.user);
        self.fill(work.nice, |times| &mut times.nice);
        self.fill(work.system, |times| &mut times.system);
        work
    }

    /// Spreads as much of the throttled time over all CPUs as fits, as steal.
    fn steal(&mut self, throttled: Micros) {
        self.fill(throttled, |times| &mut times.steal);
    }

    /// Moves the amount from idle time to a column, an equal part on each CPU. CPUs with more idle
    /// time take the excess of the other CPUs.
    fn fill(&mut self, amount: Micros, column: impl Fn(&mut Times) -> &mut Micros) {
        let mut left = amount;
        while left > Micros::ZERO {
            let open = self
                .cpus
                .iter()
                .filter(|(_, times)| times.idle > Micros::ZERO);
            let Ok(open @ 1..) = u64::try_from(open.count()) else {
                return;
            };
            let part = Micros((left.0 / open).max(1));
            for (_, times) in &mut self.cpus {
                let given = part.min(times.idle).min(left);
                times.idle = times.idle.less(given);
                let column = column(times);
                *column = column.plus(given);
                left = left.less(given);
            }
        }
    }

    fn finished(self) -> impl Iterator<Item = (CpuId, Times)> {
        self.cpus.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn used(user: u64, system: u64) -> CpuUse {
        CpuUse {
            user: Micros(user),
            system: Micros(system),
            ..CpuUse::default()
        }
    }

    fn cpus(list: &str) -> CpuSet {
        CpuSet::parse(list).unwrap()
    }

    fn started(list: &str) -> Clock {
        Clock::started(&cpus(list), &used(0, 0), Micros::ZERO, Micros::ZERO)
    }

    #[test]
    fn what_the_container_used_is_busy_and_the_rest_is_idle() {
        let clock = started("0-1").at(&cpus("0-1"), &used(600_000, 200_000), Micros(SECOND));
        let total = clock.total();
        assert_eq!(
            (total.user, total.system),
            (Micros(600_000), Micros(200_000))
        );
        assert_eq!(total.idle, Micros(2 * SECOND - 800_000));
        for (_, times) in clock.cpus() {
            assert_eq!(times.user, Micros(300_000));
        }
    }

    #[test]
    fn a_burst_beyond_the_seen_cpus_is_shown_later() {
        let clock = started("0").at(&cpus("0"), &used(100_000, 0), Micros(25_000));
        assert_eq!(clock.total().user, Micros(25_000));
        assert_eq!(clock.total().idle, Micros::ZERO);
        let clock = clock.at(&cpus("0"), &used(100_000, 0), Micros(100_000));
        assert_eq!(clock.total().user, Micros(100_000));
    }

    #[test]
    fn a_throttled_container_shows_steal_as_far_as_it_fits() {
        let mut usage = used(500_000, 0);
        usage.throttled = Micros(9 * SECOND);
        let clock = started("0").at(&cpus("0"), &usage, Micros(SECOND));
        assert_eq!(clock.total().steal, Micros(500_000));
        assert_eq!(clock.total().idle, Micros::ZERO);
    }

    fn under_a_pod(used_here: u64, throttled: u64, used_in_pod: u64) -> CpuUse {
        CpuUse {
            above: vec![AncestorThrottle {
                steps: 1,
                throttled: Micros(throttled),
                used: Micros(used_in_pod),
            }],
            ..used(used_here, 0)
        }
    }

    #[test]
    fn the_throttled_time_of_an_ancestor_is_steal_of_the_container_that_burns() {
        // Four burners under 1.5 CPUs of the pod, on two seen CPUs.
        let before = under_a_pod(0, 7 * SECOND, 3 * SECOND);
        let start = Clock::started(&cpus("0-1"), &before, Micros::ZERO, Micros::ZERO);
        let start = start.at(&cpus("0-1"), &before, Micros(1));
        let after = under_a_pod(1_500_000, 7 * SECOND + 2_500_000, 4_500_000);
        let clock = start.at(&cpus("0-1"), &after, Micros(SECOND + 1));
        let (before, total) = (start.total(), clock.total());
        assert_eq!(total.user.less(before.user), Micros(1_500_000));
        assert_eq!(total.steal.less(before.steal), Micros(500_000));
        assert_eq!(total.idle.less(before.idle), Micros::ZERO);
    }

    #[test]
    fn an_idle_container_beside_a_throttled_sibling_is_idle() {
        let usage = under_a_pod(1_000, 2_500_000, 1_500_000);
        let clock = started("0-1").at(&cpus("0-1"), &usage, Micros(SECOND));
        assert_eq!(clock.total().steal, Micros(1_666));
    }

    #[test]
    fn on_v1_work_stays_on_its_cpu_and_that_of_unseen_cpus_is_spread() {
        let share = |cpu, user| CpuShare {
            cpu: CpuId(cpu),
            total: Micros(user),
            user: Micros(user),
            system: Micros::ZERO,
        };
        let usage = CpuUse {
            per_cpu: Some(vec![share(0, 900_000), share(1, 0), share(2, 200_000)]),
            ..CpuUse::default()
        };
        let clock = started("0-1").at(&cpus("0-1"), &usage, Micros(SECOND));
        let shown: Vec<Micros> = clock.cpus().map(|(_, times)| times.user).collect();
        assert_eq!(shown, [Micros(SECOND), Micros(100_000)]);
    }

    #[test]
    fn on_v1_lost_ticks_do_not_make_a_container_look_idle() {
        let share = CpuShare {
            cpu: CpuId(0),
            total: Micros(900_000),
            user: Micros(300_000),
            system: Micros(150_000),
        };
        let usage = CpuUse {
            per_cpu: Some(vec![share]),
            ..CpuUse::default()
        };
        let total = started("0").at(&cpus("0"), &usage, Micros(SECOND)).total();
        assert_eq!(
            (total.user, total.system),
            (Micros(600_000), Micros(300_000))
        );
    }

    #[test]
    fn older_facts_that_come_late_are_not_counted_twice() {
        let clock = started("0").at(&cpus("0"), &used(500_000, 0), Micros(SECOND));
        let late = clock.at(&cpus("0"), &used(300_000, 0), Micros(SECOND + 1));
        let later = late.at(&cpus("0"), &used(500_000, 0), Micros(2 * SECOND));
        assert_eq!(later.total().user, Micros(500_000));
    }

    #[test]
    fn niced_time_is_not_counted_as_user_time_too() {
        let mut usage = used(500_000, 0);
        usage.nice = Micros(200_000);
        let clock = started("0").at(&cpus("0"), &usage, Micros(SECOND));
        assert_eq!(clock.total().user, Micros(300_000));
        assert_eq!(clock.total().nice, Micros(200_000));
    }

    #[test]
    fn a_cpu_that_leaves_takes_nothing_from_the_sum() {
        let clock = started("0-1").at(&cpus("0-1"), &used(SECOND, 0), Micros(SECOND));
        let later = clock.at(&cpus("0"), &used(SECOND, 0), Micros(SECOND));
        assert_eq!(later.cpus().count(), 1);
        assert_eq!(later.total(), clock.total());
    }

    #[test]
    fn the_first_read_shows_what_was_used_since_birth() {
        let up = Micros(10 * SECOND);
        let clock = Clock::started(&cpus("0"), &used(3 * SECOND, 0), up, Micros(100 * SECOND));
        assert_eq!(clock.total().user, Micros(3 * SECOND));
        assert_eq!(clock.total().idle, Micros(7 * SECOND));
    }

    #[test]
    fn a_cgroup_that_is_older_than_its_container_owes_nothing() {
        let up = Micros(SECOND);
        let clock = Clock::started(&cpus("0"), &used(9 * SECOND, 0), up, Micros(100 * SECOND));
        let later = clock.at(&cpus("0"), &used(9 * SECOND, 0), Micros(101 * SECOND));
        assert_eq!(later.total().user, Micros(SECOND));
        assert_eq!(later.total().idle, Micros(SECOND));
    }
}
