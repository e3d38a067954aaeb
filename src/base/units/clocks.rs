//! Pure. The clocks of a machine, and the offsets with which a time namespace begins at 0.

/// The times of two clocks of a machine, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: u64,
    /// `CLOCK_BOOTTIME`.
    pub boottime: u64,
}

/// The offset that a time namespace adds to a clock, in the form of an OCI configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// Whole seconds, negative for a clock that is set back.
    pub seconds: i64,
    /// The rest, never negative: less than 10^9.
    pub nanoseconds: u32,
}

impl Clocks {
    /// Returns the offsets with which both clocks begin at 0, each with the clock's name in an OCI
    /// configuration.
    ///
    /// A boottime before monotonic would be a negative time in suspend, so both clocks move.
    #[must_use]
    pub fn offsets(self) -> [(&'static str, Offset); 2] {
        [
            ("monotonic", Offset::back(self.monotonic)),
            ("boottime", Offset::back(self.boottime)),
        ]
    }
}

impl Offset {
    fn back(nanoseconds: u64) -> Offset {
        const SECOND: i64 = 1_000_000_000;
        let back = i64::try_from(nanoseconds)
            .unwrap_or(i64::MAX)
            .saturating_neg();
        Offset {
            seconds: back.div_euclid(SECOND),
            nanoseconds: u32::try_from(back.rem_euclid(SECOND)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_set_back_by_whole_seconds_and_a_rest_that_is_not_negative() {
        let clocks = Clocks {
            monotonic: 1_500_000_000,
            boottime: 2_000_000_000,
        };
        let offsets = clocks.offsets().map(|(_, by)| (by.seconds, by.nanoseconds));
        assert_eq!(offsets, [(-2, 500_000_000), (-2, 0)]);
    }
}
