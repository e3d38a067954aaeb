//! The clocks of the machine.

use crate::base::units::{Clocks, Micros};
use nix::time::{ClockId, clock_gettime};
use std::path::Path;

/// Returns the time since the boot of the machine, suspend included (`CLOCK_BOOTTIME`), in this
/// process's time namespace.
///
/// Every supported kernel has this clock; the time is 0 on any other.
#[must_use]
pub fn since_boot() -> Micros {
    time(ClockId::CLOCK_BOOTTIME)
}

/// Returns the CPU time that this thread has used.
#[must_use]
pub fn thread_time() -> Micros {
    time(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn time(clock: ClockId) -> Micros {
    clock_gettime(clock).map_or(Micros::ZERO, |now| {
        let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
        Micros(seconds.saturating_mul(1_000_000)).plus(Micros::from_nanos(nanos))
    })
}

/// Returns the present times of the clocks in this process's time namespace; `None` where the kernel
/// has no time namespaces (before Linux 5.6, or not configured).
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
