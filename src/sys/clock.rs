//! The machine's clock.

use crate::units::Micros;
use nix::time::{ClockId, clock_gettime};

/// The time since the machine booted, suspend included (`CLOCK_BOOTTIME`), as this process's
/// time namespace has it.
///
/// Zero if the kernel has no such clock, which no supported kernel lacks.
#[must_use]
pub fn since_boot() -> Micros {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Micros::ZERO, |now| {
        let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
        Micros(seconds.saturating_mul(1_000_000)).plus(Micros::from_nanos(nanos))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_back() {
        let before = since_boot();
        assert!(since_boot() >= before && before > Micros::ZERO);
    }
}
