//! Pure. An amount of memory.

use std::{fmt, str::FromStr};

/// An amount of memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl Bytes {
    /// 0 bytes.
    pub const ZERO: Bytes = Bytes(0);

    /// Returns `kib` KiB. An amount beyond 2^64 bytes becomes the largest that fits.
    #[must_use]
    pub fn from_kib(kib: u64) -> Bytes {
        Bytes(kib.saturating_mul(1024))
    }

    /// Returns `mib` MiB. An amount beyond 2^64 bytes becomes the largest that fits.
    #[must_use]
    pub fn from_mib(mib: u64) -> Bytes {
        Bytes::from_kib(mib.saturating_mul(1024))
    }

    /// Returns whole KiB, rounded down, as the kernel prints an amount (`fs/proc/meminfo.c`).
    #[must_use]
    pub fn kib(self) -> u64 {
        self.0 / 1024
    }

    /// Subtracts `other`; returns 0 when `other` is larger.
    ///
    /// Counters that are read at two moments may cross, so a difference has to stop at zero.
    #[must_use]
    pub fn less(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(other.0))
    }

    /// Adds `other`. A sum beyond 2^64 bytes becomes the largest amount that fits.
    #[must_use]
    pub fn plus(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }
}

/// The error of a size that a user typed and that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a size: write a number and one of b, k, m, g, t (powers of 1024)")]
pub struct SizeError {
    text: String,
}

/// Parses a size as docker and podman do: `512m`, `1.5g`, `64MiB`, a bare number of bytes.
///
/// Units are powers of 1024, in either case, with `b` or `ib` after them or not; a fraction of
/// a byte is cut off. An amount beyond 2^64 bytes becomes the largest that fits.
impl FromStr for Bytes {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Bytes, SizeError> {
        let wrong = || SizeError {
            text: text.to_owned(),
        };
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(wrong()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.len() > 9 || (number.contains('.') && fraction.is_empty()) {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().unwrap_or(u64::MAX);
        let digits = u32::try_from(fraction.len()).map_err(|_| wrong())?;
        let parts: u128 = match fraction {
            "" => 0,
            _ => fraction.parse::<u64>().map_err(|_| wrong())?.into(),
        };
        let bytes = (u128::from(whole) << shift) + (parts << shift) / 10u128.pow(digits);
        Ok(Bytes(u64::try_from(bytes).unwrap_or(u64::MAX)))
    }
}

/// Prints the largest unit that leaves no remainder. `FromStr` parses the text back: `256M`, `1536K`, `17B`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_docker_reads_it() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17b", 17),
            ("4k", 4096),
            ("256M", 256 << 20),
            ("1.5g", 3 << 29),
            ("2 GiB", 2 << 30),
            ("1tb", 1 << 40),
            ("99999999t", u64::MAX),
            ("99999999999999999999999999", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "", "m", "12Q", "-1", "1.", ".5m", "1e3", "NaN", "inf", "1e308", "1.2.3",
        ] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_printed_as_it_can_be_read() {
        for (bytes, text) in [
            (0, "0B"),
            (17, "17B"),
            (1536 << 10, "1536K"),
            (1 << 30, "1G"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
        }
    }

    #[test]
    fn a_difference_never_goes_below_zero() {
        assert_eq!(Bytes(1).less(Bytes(2)), Bytes::ZERO);
    }
}
