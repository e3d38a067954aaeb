//! Pure. A limit that may be absent.

/// A limit: a value, or none at all (`max`, `-1`, and v1's near-infinity alike).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Limit<T> {
    /// Nothing limits.
    #[default]
    Unlimited,
    /// At most so much.
    At(T),
}

impl<T: Ord + Copy> Limit<T> {
    /// The stricter of the two.
    #[must_use]
    pub fn stricter(self, other: Limit<T>) -> Limit<T> {
        match (self, other) {
            (Limit::At(a), Limit::At(b)) => Limit::At(a.min(b)),
            (Limit::At(a), Limit::Unlimited) | (Limit::Unlimited, Limit::At(a)) => Limit::At(a),
            (Limit::Unlimited, Limit::Unlimited) => Limit::Unlimited,
        }
    }

    /// The value, or `None` where nothing limits.
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
