//! Pure. A limit that may be absent.

/// A limit that may be absent: the kernel writes `max`, `-1` or, on v1, a number near 2^63 then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Limit<T> {
    /// No limit.
    #[default]
    Unlimited,
    /// The largest value that is allowed.
    At(T),
}

impl<T: Ord + Copy> Limit<T> {
    /// Returns the lower of two limits.
    #[must_use]
    pub fn stricter(self, other: Limit<T>) -> Limit<T> {
        match (self, other) {
            (Limit::At(a), Limit::At(b)) => Limit::At(a.min(b)),
            (Limit::At(a), Limit::Unlimited) | (Limit::Unlimited, Limit::At(a)) => Limit::At(a),
            (Limit::Unlimited, Limit::Unlimited) => Limit::Unlimited,
        }
    }

    /// Returns the value, or `None` without a limit.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Limit::Unlimited => None,
            Limit::At(limit) => Some(limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_limit_wins() {
        assert_eq!(Limit::At(3).stricter(Limit::At(2)), Limit::At(2));
        assert_eq!(Limit::At(3).stricter(Limit::Unlimited), Limit::At(3));
        assert_eq!(
            Limit::<u8>::Unlimited.stricter(Limit::Unlimited).value(),
            None
        );
    }
}
