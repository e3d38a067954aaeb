//! Pure. The time that a container has been up.
//!
//! | value | meaning |
//! |---|---|
//! | uptime in an own time namespace, or without an own pid namespace | the machine's boot clock plus the offset of the time namespace, as the kernel says inside |
//! | uptime otherwise | the time since the start of the container's init |
//! | `btime` | the machine's `btime` less the offset of the container's time namespace (`timens_sub_boottime`) |

pub use crate::facts::container::Birth;

use crate::base::units::Micros;

/// Returns the uptime of the container at `now` on the machine's boot clock; 0 for a birth after
/// `now`.
#[must_use]
pub fn uptime(birth: Birth, now: Micros) -> Micros {
    match birth {
        Birth::Started(started) => now.less(started),
        Birth::Offset(offset) if offset < 0 => now.less(Micros(offset.unsigned_abs())),
        Birth::Offset(offset) => now.plus(Micros(offset.unsigned_abs())),
    }
}

/// Returns the container's `btime` in seconds since 1970, from the machine's `btime`.
#[must_use]
pub fn btime(birth: Birth, host: u64) -> u64 {
    match birth {
        Birth::Started(_) => host,
        Birth::Offset(offset) => host.saturating_add_signed(-(offset / 1_000_000)),
    }
}

/// `/proc/uptime` of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime {
    /// Uptime.
    pub up: Micros,
    /// Idle time of the CPUs, summed.
    pub idle: Micros,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_up_since_its_init_started() {
        assert_eq!(uptime(Birth::Started(Micros(30)), Micros(100)), Micros(70));
    }

    #[test]
    fn an_init_that_started_later_than_now_is_up_for_no_time() {
        assert_eq!(uptime(Birth::Started(Micros(30)), Micros(10)), Micros::ZERO);
    }

    #[test]
    fn a_time_namespace_moves_uptime_and_btime_alike() {
        let birth = Birth::Offset(-90_000_000);
        assert_eq!(uptime(birth, Micros(100_000_000)), Micros(10_000_000));
        assert_eq!(btime(birth, 1_000), 1_090);
    }
}
