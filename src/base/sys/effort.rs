//! The bound of the work that one request may cause.

use super::clock::thread_time;
use crate::base::units::Micros;
use std::time::{Duration, Instant};

/// The number of steps that are always granted, so that a small work is always done whole.
const MIN_STEPS: usize = 64;
/// The maximum of elapsed time, in maximums of CPU time: a step may wait for a lock of the kernel.
const ELAPSED_FACTOR: u32 = 4;

/// Steps of a work, which end when the CPU time of this thread, or four times as much elapsed time,
/// is used up.
#[derive(Debug)]
pub struct Effort {
    steps: usize,
    cpu: Micros,
    elapsed: Instant,
}

impl Effort {
    /// Begins a work of at most `max` CPU time of this thread.
    #[must_use]
    pub fn of(max: Micros) -> Effort {
        Effort {
            steps: 0,
            cpu: thread_time().plus(max),
            elapsed: Instant::now() + Duration::from_micros(max.0) * ELAPSED_FACTOR,
        }
    }

    /// Returns whether another step may be taken; true for the first 64.
    pub fn permits_step(&mut self) -> bool {
        self.steps = self.steps.saturating_add(1);
        self.steps <= MIN_STEPS || (thread_time() < self.cpu && Instant::now() < self.elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_work_is_done_whole_and_a_large_one_ends_with_its_time() {
        let mut effort = Effort::of(Micros::ZERO);
        let granted = (0..10 * MIN_STEPS).filter(|_| effort.permits_step());
        assert_eq!(granted.count(), MIN_STEPS);
        let mut effort = Effort::of(Micros(2_000));
        let begin = Instant::now();
        while effort.permits_step() {}
        assert!(begin.elapsed() < Duration::from_secs(1));
    }
}
