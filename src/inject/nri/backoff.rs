//! Pure. The pause before the next attempt to connect.

use std::time::Duration;

const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A pause that doubles with each attempt that fails.
#[derive(Debug, Default)]
pub(super) struct RetryPause {
    last: Duration,
}

impl RetryPause {
    /// Returns the next pause: from 100 ms to 5 s.
    pub(super) fn next(&mut self) -> Duration {
        self.last = (self.last * 2).clamp(MIN_PAUSE, MAX_PAUSE);
        self.last
    }

    /// Begins anew, after an attempt that succeeded.
    pub(super) fn reset(&mut self) {
        self.last = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_5_seconds_and_begins_anew_after_a_success() {
        let mut pause = RetryPause::default();
        let pauses: Vec<u128> = (0..8).map(|_| pause.next().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        pause.reset();
        assert_eq!(pause.next(), MIN_PAUSE);
    }
}
