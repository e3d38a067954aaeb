//! Pure. Parses single values of the configuration file and of options, and refuses those out of
//! range.

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::{fmt, path::PathBuf, time::Duration};

/// The range of a time that an option or a key sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    min: Duration,
    max: Duration,
}

/// The range of the time after which the keeper replaces a silent daemon.
pub const WATCHDOG_RANGE: TimeRange = TimeRange::new(1_000, 24 * HOUR);

/// The range of the maximum age of an answer.
pub const MAX_AGE_RANGE: TimeRange = TimeRange::new(0, HOUR);

/// The range of the time that the hook waits for the daemon.
pub const HOOK_TIMEOUT_RANGE: TimeRange = TimeRange::new(1, HOUR);

/// The range of the pause between two steps of the demo.
pub const PAUSE_RANGE: TimeRange = TimeRange::new(0, HOUR);

/// The range of the time between two lists of `plimsoll ps --watch`.
pub const WATCH_RANGE: TimeRange = TimeRange::new(200, HOUR);

/// The milliseconds of an hour.
const HOUR: u64 = 3_600_000;

/// The maximum share of a container, in hundredths of a CPU: more CPUs than the daemon has threads.
const MAX_SHARE: u32 = 10_000;

impl TimeRange {
    const fn new(min: u64, max: u64) -> TimeRange {
        TimeRange {
            min: Duration::from_millis(min),
            max: Duration::from_millis(max),
        }
    }

    /// Parses a time of the range: numbers with a unit (`10ms`, `2s`, `1m 30s`), or one number of
    /// seconds.
    ///
    /// # Errors
    /// A text that is no such time, or a time out of the range, in one line that names the range.
    pub fn parse(self, text: &str) -> Result<Duration, String> {
        let text = text.trim();
        let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let time = match is_bare {
            // A number that does not fit is out of the range too.
            true => Ok(Duration::from_secs(text.parse().unwrap_or(u64::MAX))),
            false => humantime::parse_duration(text),
        };
        let (min, max) = (
            humantime::format_duration(self.min),
            humantime::format_duration(self.max),
        );
        match time {
            Ok(time) if (self.min..=self.max).contains(&time) => Ok(time),
            Ok(_) | Err(humantime::DurationError::NumberOverflow) => {
                Err(format!("the time must be from {min} to {max}"))
            }
            Err(_) => Err(format!(
                "\"{text}\" is no time like \"10ms\", \"2s\" or \"1m\", from {min} to {max}"
            )),
        }
    }

    fn deserialize<'de, D: Deserializer<'de>>(self, from: D) -> Result<Duration, D::Error> {
        let text = from.deserialize_any(TimeValue("a time like \"10ms\" or \"2s\""))?;
        self.parse(&text).map_err(D::Error::custom)
    }
}

/// The visitor of a value that is a text, or a number as the text of its digits.
struct TimeValue(&'static str);

impl Visitor<'_> for TimeValue {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

pub(super) fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    match path.is_absolute() {
        true => Ok(path),
        false => Err(D::Error::custom(format!(
            "{} is no absolute path",
            path.display()
        ))),
    }
}

pub(super) fn max_age<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    MAX_AGE_RANGE.deserialize(from)
}

pub(super) fn watchdog<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    WATCHDOG_RANGE.deserialize(from)
}

pub(super) fn hook_timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    HOOK_TIMEOUT_RANGE.deserialize(from)
}

pub(super) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let text = String::deserialize(from)?;
    let range = format!("from 1% to {MAX_SHARE}%");
    let digits = text.strip_suffix('%').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let error = format!("\"{text}\" is no share of a CPU like \"10%\", {range}");
        return Err(D::Error::custom(error));
    }
    let percent = digits.parse().ok();
    let percent = percent.filter(|percent| (1..=MAX_SHARE).contains(percent));
    percent.ok_or_else(|| D::Error::custom(format!("the share must be {range}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn a_time_is_numbers_with_units_or_a_number_of_seconds() {
        for (text, millis) in [
            ("2s", 2_000),
            ("2", 2_000),
            ("1500ms", 1_500),
            ("1m 30s", 90_000),
            (" 1m ", 60_000),
            ("1day", 86_400_000),
        ] {
            let time = Duration::from_millis(millis);
            assert_eq!(WATCHDOG_RANGE.parse(text), Ok(time), "{text}");
        }
        assert_eq!(MAX_AGE_RANGE.parse("0"), Ok(Duration::ZERO));
        assert_eq!(
            HOOK_TIMEOUT_RANGE.parse("1ms"),
            Ok(Duration::from_millis(1))
        );
    }

    #[test]
    fn a_time_out_of_range_and_a_text_that_is_no_time_are_refused_with_the_range() {
        for text in [
            "18446744073709551615",
            "99999999999999999999999",
            "18446744073709551615h",
            "0",
            "999ms",
            "25h",
            "1y",
        ] {
            let refused = WATCHDOG_RANGE.parse(text).unwrap_err();
            assert_eq!(refused, "the time must be from 1s to 1day", "{text}");
        }
        for text in [
            "", "-1", "-1s", "NaN", "inf", "1e308", "1e3s", "2x", "s", "0x10",
        ] {
            let refused = WATCHDOG_RANGE.parse(text).unwrap_err();
            let range = "is no time like \"10ms\", \"2s\" or \"1m\", from 1s to 1day";
            assert!(refused.ends_with(range), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn a_time_that_is_taken_is_in_the_range(text in "[0-9]{0,25}(ns|us|ms|s|m|h|d|M|y)?", any in any::<String>()) {
            for text in [text, any] {
                for range in [WATCHDOG_RANGE, MAX_AGE_RANGE, HOOK_TIMEOUT_RANGE] {
                    let time = range.parse(&text);
                    prop_assert!(time.is_err() || time.is_ok_and(|time| (range.min..=range.max).contains(&time)));
                }
            }
        }
    }
}
