//! The machine's clocks.

use crate::base::units::{Clocks, Micros};
use nix::time::{ClockId, clock_gettime};
use std::path::Path;

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

/// The clocks of this moment, as this process's time namespace has them; `None` where the kernel has
/// no time namespaces (before 5.6, or not configured).
#[must_use]
pub fn clocks() -> Option<Clocks> {
    let clock = |id| {
        let now = clock_gettime(id).ok()?;
        let seconds = u64::try_from(now.tv_sec()).ok()?;
        let nanos = u64::try_from(now.tv_nsec()).ok()?;
        Some(seconds * 1_000_000_000 + nanos)
    };
    Path::new("/proc/self/ns/time").exists().then_some(())?;
    Some(Clocks {
        monotonic: clock(ClockId::CLOCK_MONOTONIC)?,
        boottime: clock(ClockId::CLOCK_BOOTTIME)?,
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
