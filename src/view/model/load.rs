//! Pure. The load that a container sees: the kernel's averages, of the container's own tasks.
//!
//! | value | meaning |
//! |---|---|
//! | active | the tasks that the kernel's own load would count: running or ready to run, or in uninterruptible sleep; a frozen, stopped, idle or dead task is not active, a throttled one is |
//! | averages at the first sample | as if the present number of active tasks had been active since the start of the container: number x (1 - exp(-age / 60 s, 300 s, 900 s)) |
//! | averages later | the kernel's formula, every five seconds; after a time without samples, as if the present number had been active in that time |
//! | running / all tasks, last pid | the container's tasks in any state; its youngest task |

pub use crate::facts::container::Tasks;

use crate::base::units::Micros;

/// Load averages over 1, 5 and 15 minutes in the kernel's fixed point (`FSHIFT` bits after the
/// point, `include/linux/sched/loadavg.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Averages([u64; 3]);

const FSHIFT: u32 = 11;
const FIXED_1: u64 = 1 << FSHIFT;
// include/uapi/linux/sysinfo.h
const SI_LOAD_SHIFT: u32 = 16;
// 1/exp(5s/1min), 1/exp(5s/5min), 1/exp(5s/15min) in fixed point.
const EXP: [u64; 3] = [1884, 2014, 2037];

// exp(-10ms/1min), exp(-10ms/5min), exp(-10ms/15min), with 62 bits after the point.
const DECAY: [u128; 3] = [
    4_610_917_468_138_619_788,
    4_611_532_298_122_126_312,
    4_611_634_777_756_298_521,
];
const DECAY_BITS: u32 = 62;

/// Seconds between two samples (`LOAD_FREQ`, less the jiffy that the kernel adds to keep clear of
/// other timers).
pub const PERIOD_SECONDS: u64 = 5;

impl Averages {
    /// Returns the averages at the first sample of a container that has been up for `up`: as if
    /// `active` tasks had been active all that time, and none before.
    #[must_use]
    pub fn starting_at(active: u64, up: Micros) -> Averages {
        let full = u128::from(active.min(u64::from(u32::MAX)) * FIXED_1);
        let one = 1u128 << DECAY_BITS;
        Averages(DECAY.map(|decay| {
            let grown = one - power(decay, up.0 / 10_000);
            let nearest = (full * grown + one / 2) >> DECAY_BITS;
            u64::try_from(nearest).unwrap_or(u64::MAX)
        }))
    }

    /// Returns the averages one sample later, with `active` tasks running or in uninterruptible sleep
    /// (`calc_load`, `kernel/sched/loadavg.c`).
    #[must_use]
    pub fn after(self, active: u64) -> Averages {
        let active = active.min(u64::from(u32::MAX)) * FIXED_1;
        let mut averages = self;
        for (load, exp) in averages.0.iter_mut().zip(EXP) {
            let mut sum = load
                .saturating_mul(exp)
                .saturating_add(active * (FIXED_1 - exp));
            if active >= *load {
                sum = sum.saturating_add(FIXED_1 - 1);
            }
            *load = sum / FIXED_1;
        }
        averages
    }

    /// Returns the averages as numbers, to outlive the process.
    #[must_use]
    pub fn numbers(self) -> [u64; 3] {
        self.0
    }

    /// Returns the averages with these [numbers](Averages::numbers).
    #[must_use]
    pub fn of_numbers(numbers: [u64; 3]) -> Averages {
        Averages(numbers)
    }

    /// Returns the averages in the fixed point of `sysinfo(2)`, with `SI_LOAD_SHIFT` bits after the point.
    #[must_use]
    pub fn sysinfo(self) -> [u64; 3] {
        self.0.map(|load| load << (SI_LOAD_SHIFT - FSHIFT))
    }

    /// Returns the averages that `sysinfo(2)` answers as these numbers.
    #[must_use]
    pub fn of_sysinfo(loads: [u64; 3]) -> Averages {
        Averages(loads.map(|load| load >> (SI_LOAD_SHIFT - FSHIFT)))
    }

    /// Returns each average in hundredths, rounded as the kernel prints it (`fs/proc/loadavg.c`).
    #[must_use]
    pub fn hundredths(self) -> [u64; 3] {
        self.0.map(|load| {
            let load = load.saturating_add(FIXED_1 / 200);
            (load >> FSHIFT) * 100 + (((load & (FIXED_1 - 1)) * 100) >> FSHIFT)
        })
    }
}

/// Returns the fixed-point number to the power of `exponent`.
fn power(mut base: u128, mut exponent: u64) -> u128 {
    let mut product = 1u128 << DECAY_BITS;
    while exponent > 0 {
        if exponent % 2 == 1 {
            product = (product * base) >> DECAY_BITS;
        }
        base = (base * base) >> DECAY_BITS;
        exponent /= 2;
    }
    product
}

/// `/proc/loadavg` of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loadavg {
    /// Load averages.
    pub averages: Averages,
    /// Present number of tasks. At least one runs: the kernel, too, counts the reader as running.
    pub tasks: Tasks,
}

/// Returns the number of tasks that the averages count: running, and in uninterruptible sleep.
#[must_use]
pub fn active(tasks: &Tasks) -> u64 {
    tasks.running.saturating_add(tasks.blocked)
}

/// Returns `/proc/loadavg` from the averages and the present number of tasks.
#[must_use]
pub fn loadavg(averages: Averages, tasks: &Tasks) -> Loadavg {
    let running = tasks.running.max(1);
    Loadavg {
        averages,
        tasks: Tasks {
            running,
            total: tasks.total.max(running),
            ..*tasks
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Micros = Micros(86_400_000_000);

    #[test]
    fn the_first_sample_of_an_old_container_is_the_present_load() {
        assert_eq!(Averages::starting_at(3, DAY).hundredths(), [300, 300, 300]);
    }

    #[test]
    fn the_first_sample_of_a_young_container_has_only_its_own_time() {
        let load = |seconds: u64| Averages::starting_at(4, Micros(seconds * 1_000_000));
        assert_eq!(load(0).hundredths(), [0, 0, 0]);
        // 4 * (1 - exp(-2 / 60)), and with 300 and 900 s.
        assert_eq!(load(2).hundredths(), [13, 3, 1]);
        assert_eq!(load(60).hundredths(), [253, 72, 26]);
        assert_eq!(load(300).hundredths(), [397, 253, 113]);
    }

    #[test]
    fn a_first_sample_is_what_the_kernels_samples_add_up_to() {
        let mut sampled = Averages::default();
        for _ in 0..36 {
            sampled = sampled.after(10);
        }
        let first = Averages::starting_at(10, Micros(180_000_000));
        for (first, sampled) in first.hundredths().into_iter().zip(sampled.hundredths()) {
            assert!(first.abs_diff(sampled) <= 8, "{first} {sampled}");
        }
    }

    #[test]
    fn a_minute_of_two_busy_tasks_raises_the_first_average_as_in_the_kernel() {
        let mut averages = Averages::default();
        for _ in 0..12 {
            averages = averages.after(2);
        }
        let [one, five, fifteen] = averages.hundredths();
        // 2 * (1 - 1/e) = 1.264
        assert!((125..=128).contains(&one), "{one}");
        assert!(five < one && fifteen < five);
    }

    #[test]
    fn an_idle_container_goes_down_to_nothing() {
        let mut averages = Averages::starting_at(1, DAY);
        for _ in 0..2000 {
            averages = averages.after(0);
        }
        assert_eq!(averages.hundredths(), [0, 0, 0]);
    }

    #[test]
    fn without_tasks_a_load_decays_by_the_kernels_constants() {
        let load = Averages::starting_at(100, DAY).after(0);
        assert_eq!(load.hundredths(), [9199, 9834, 9946]);
    }

    #[test]
    fn no_number_of_tasks_overflows() {
        let averages = Averages::starting_at(u64::MAX, Micros(u64::MAX))
            .after(u64::MAX)
            .after(u64::MAX);
        assert!(averages.hundredths()[0] > 0);
    }
}
