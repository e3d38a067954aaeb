//! Pure. Durations and points in time, by unit.

/// Microseconds: a duration, CPU time used, or a point in time since the machine's boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub u64);

impl Micros {
    /// 0 microseconds.
    pub const ZERO: Micros = Micros(0);
    /// 1 second.
    pub const SECOND: Micros = Micros(1_000_000);

    /// Subtracts `other`; returns 0 when `other` is larger.
    #[must_use]
    pub fn less(self, other: Micros) -> Micros {
        Micros(self.0.saturating_sub(other.0))
    }

    /// Adds `other`. A sum beyond 2^64 microseconds becomes the largest time that fits.
    #[must_use]
    pub fn plus(self, other: Micros) -> Micros {
        Micros(self.0.saturating_add(other.0))
    }

    /// Multiplies the time by `count`. A product beyond 2^64 microseconds becomes the largest time
    /// that fits.
    #[must_use]
    pub fn times(self, count: usize) -> Micros {
        Micros(self.0.saturating_mul(count.try_into().unwrap_or(u64::MAX)))
    }

    /// Returns half of the time, rounded down.
    #[must_use]
    pub fn half(self) -> Micros {
        Micros(self.0 / 2)
    }

    /// Returns the whole microseconds of `nanos` nanoseconds, rounded down.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Micros {
        Micros(nanos / 1000)
    }

    /// Returns whole clock ticks, rounded down, as the kernel prints CPU time.
    #[must_use]
    pub fn ticks(self) -> Ticks {
        Ticks(self.0 / Ticks::MICROS)
    }
}

/// Clock ticks of `USER_HZ`, which is 100 on every architecture that Linux serves to user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(pub u64);

impl Ticks {
    const MICROS: u64 = 10_000;

    /// Returns the ticks as microseconds. A time beyond 2^64 microseconds becomes the largest that
    /// fits.
    #[must_use]
    pub fn micros(self) -> Micros {
        Micros(self.0.saturating_mul(Ticks::MICROS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_rounded_down() {
        assert_eq!(Micros(19_999).ticks(), Ticks(1));
        assert_eq!(Ticks(3).micros(), Micros(30_000));
    }
}
