//! Pure. The load that a container sees: the kernel's averages, of the container's own tasks.

pub use crate::facts::container::Tasks;

/// Load averages over 1, 5 and 15 minutes in the kernel's fixed point (`FSHIFT` bits after the
/// point, `include/linux/sched/loadavg.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Averages([u64; 3]);

const FSHIFT: u32 = 11;
const FIXED_1: u64 = 1 << FSHIFT;
// 1/exp(5s/1min), 1/exp(5s/5min), 1/exp(5s/15min) in fixed point.
const EXP: [u64; 3] = [1884, 2014, 2037];

/// Seconds between two samples (`LOAD_FREQ`, less the jiffy that the kernel adds to keep clear of
/// other timers).
pub const PERIOD_SECONDS: u64 = 5;

impl Averages {
    /// Returns the averages at the first sample: as if `active` tasks had always been active.
    #[must_use]
    pub fn starting_at(active: u64) -> Averages {
        Averages([active.saturating_mul(FIXED_1); 3])
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

    /// Returns each average in hundredths, rounded as the kernel prints it (`fs/proc/loadavg.c`).
    #[must_use]
    pub fn hundredths(self) -> [u64; 3] {
        self.0.map(|load| {
            let load = load.saturating_add(FIXED_1 / 200);
            (load >> FSHIFT) * 100 + (((load & (FIXED_1 - 1)) * 100) >> FSHIFT)
        })
    }
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

    #[test]
    fn the_first_sample_is_the_present_load() {
        assert_eq!(Averages::starting_at(3).hundredths(), [300, 300, 300]);
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
        let mut averages = Averages::starting_at(1);
        for _ in 0..2000 {
            averages = averages.after(0);
        }
        assert_eq!(averages.hundredths(), [0, 0, 0]);
    }

    #[test]
    fn without_tasks_a_load_decays_by_the_kernels_constants() {
        let load = Averages::starting_at(100).after(0);
        assert_eq!(load.hundredths(), [9199, 9834, 9946]);
    }

    #[test]
    fn no_number_of_tasks_overflows() {
        let averages = Averages::starting_at(u64::MAX)
            .after(u64::MAX)
            .after(u64::MAX);
        assert!(averages.hundredths()[0] > 0);
    }
}
