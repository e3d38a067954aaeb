//! Pure. The pause between the end of a daemon and the start of the next one.

use std::time::Duration;

const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The lifetime after which a daemon counts as stable: the pauses begin anew.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// A pause that doubles with each process that ends by itself soon after its start: a daemon of a
/// keeper, or a keeper of a daemon.
#[derive(Debug, Default)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Returns the pause after a process that lived for `lived`: at most 5 s, and zero after the first
    /// one. A process that is blameless is followed at once, since such a death does not repeat by itself:
    /// somebody killed the process, or the process ended itself over a request that hung.
    pub fn pause(&mut self, is_blameless: bool, lived: Duration) -> Duration {
        if is_blameless {
            return Duration::ZERO;
        }
        if lived >= STABLE_AFTER {
            self.next = Duration::ZERO;
        }
        let pause = self.next;
        self.next = (pause * 2).clamp(MIN_PAUSE, MAX_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_killed_is_followed_at_once() {
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            assert_eq!(backoff.pause(true, Duration::ZERO), Duration::ZERO);
        }
    }

    #[test]
    fn the_pause_doubles_up_to_its_longest_until_one_lives_well() {
        let mut backoff = Backoff::default();
        let soon = Duration::from_millis(1);
        let pauses: Vec<u128> = (0..12)
            .map(|_| backoff.pause(false, soon).as_millis())
            .collect();
        assert_eq!(pauses[..4], [0, 10, 20, 40]);
        assert_eq!(pauses[11], 5000);
        assert_eq!(backoff.pause(false, STABLE_AFTER), Duration::ZERO);
    }
}
