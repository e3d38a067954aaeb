//! Pure. The division of an amount into whole parts.

/// Divides the amount into parts in proportion to the weights. The parts add up to the amount, unless
/// every weight is 0. No part exceeds its weight if the amount does not exceed their sum.
#[must_use]
pub fn divided(amount: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().copied().map(u128::from).sum();
    let (mut before, mut given) = (0, 0);
    let part = |weight: &u64| {
        before += u128::from(*weight);
        // Each part ends at a rounded mark of one scale, so that no unit is lost between two parts.
        let mark = u128::from(amount) * before / sum.max(1);
        let mark = u64::try_from(mark).unwrap_or(u64::MAX);
        let part = mark.saturating_sub(given);
        given = mark;
        part
    };
    weights.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn a_part_is_as_large_as_its_weight_says() {
        assert_eq!(divided(10, &[1, 0, 3]), [2, 0, 8]);
        assert_eq!(divided(10, &[0, 0]), [0, 0]);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_stay_below_weights_that_suffice(
            weights in prop::collection::vec(0u64..1 << 40, 1..9), amount: u64,
        ) {
            let sum: u64 = weights.iter().sum();
            let amount = amount % (sum + 1);
            let parts = divided(amount, &weights);
            prop_assert_eq!(parts.iter().sum::<u64>(), amount);
            prop_assert!(parts.iter().zip(&weights).all(|(part, weight)| part <= weight));
        }
    }
}
