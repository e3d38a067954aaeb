//! Pure. A count in a text of the kernel.

/// Parses a count. A negative one, which the kernel never means, is 0, and one beyond 2^64 the
/// largest number. `None` for a word that is no number.
#[must_use]
pub fn count(word: &str) -> Option<u64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match word.len() == digits.len() {
        true => Some(word.parse().unwrap_or(u64::MAX)),
        false => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_the_kernel_cannot_mean_is_the_nearest_that_it_can() {
        assert_eq!(count("17"), Some(17));
        assert_eq!(
            (count("-5"), count("18446744073709551616")),
            (Some(0), Some(u64::MAX))
        );
        for word in ["", "-", "+1", "1x", "0x1", "1.5", "(null)"] {
            assert_eq!(count(word), None, "{word}");
        }
    }
}
