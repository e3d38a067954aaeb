//! Pure. The time that a container has been up.
//!
//! | what | meaning |
//! |---|---|
//! | uptime, own time namespace | the machine's boot clock plus the namespace's offset: what the kernel says inside |
//! | uptime, else | the time since the container's init started |
//! | `btime` | the machine's, less the offset of the container's time namespace (`timens_sub_boottime`) |

pub use crate::facts::container::Birth;

use crate::base::units::Micros;

/// How long the container has been up at `now` on the machine's boot clock; never negative.
#[must_use]
pub fn uptime(birth: Birth, now: Micros) -> Micros {
    match birth {
        Birth::Started(started) => now.less(started),
        Birth::Offset(offset) if offset < 0 => now.less(Micros(offset.unsigned_abs())),
        Birth::Offset(offset) => now.plus(Micros(offset.unsigned_abs())),
    }
}

/// The container's `btime` in seconds since 1970, from the machine's.
#[must_use]
pub fn btime(birth: Birth, host: u64) -> u64 {
    match birth {
        Birth::Started(_) => host,
        Birth::Offset(offset) => host.saturating_add_signed(-(offset / 1_000_000)),
    }
}

/// `/proc/uptime` as the container should see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime {
    /// How long it has been up.
    pub up: Micros,
    /// How long its CPUs were idle, together.
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
