//! Pure. A trigger on a pressure file (`Documentation/accounting/psi.rst`).

use crate::base::units::Micros;
use std::fmt;

/// A trigger: the kernel wakes its owner when tasks stall for `threshold` within `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// The trigger counts the time in which all tasks stall at once, not only some.
    is_full: bool,
    /// The least stall that fires; from 1 us to `window`.
    threshold: Micros,
    /// The time within which the stall counts; from 1 us to 10 s.
    window: Micros,
}

// The maximum window in microseconds (kernel/sched/psi.c, WINDOW_MAX_US).
const MAX_WINDOW_US: u64 = 10_000_000;
// The period in microseconds in which the kernel updates averages. The window of an unprivileged
// trigger must be a multiple, so that it costs the kernel no further update.
const AVERAGES_PERIOD_US: u64 = 2_000_000;
// The bytes of a write that psi_write takes, with the final zero.
const MAX_TEXT: usize = 32;

impl Trigger {
    /// Parses the write of a program: `some` or `full`, the threshold and the window in microseconds.
    /// Text behind these is ignored (`kernel/sched/psi.c`, `psi_write` and `psi_trigger_create`).
    ///
    /// `None` for a write that the kernel refuses as invalid. The window of a caller that is not
    /// privileged (`CAP_SYS_RESOURCE`) must be a multiple of 2 s.
    #[must_use]
    pub fn parse(text: &[u8], is_privileged: bool) -> Option<Trigger> {
        let text = text.get(..MAX_TEXT - 1).unwrap_or(text);
        let text = text.split(|byte| *byte == 0).next()?;
        let text = std::str::from_utf8(text).ok()?;
        let (is_full, rest) = match (text.strip_prefix("some"), text.strip_prefix("full")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return None,
        };
        let (threshold, rest) = number(rest)?;
        let (window, _) = number(rest)?;
        let is_permitted = is_privileged || window % AVERAGES_PERIOD_US == 0;
        let is_valid = (1..=MAX_WINDOW_US).contains(&window) && (1..=window).contains(&threshold);
        (is_permitted && is_valid).then_some(Trigger {
            is_full,
            threshold: Micros(threshold),
            window: Micros(window),
        })
    }
}

/// Parses the number behind any white space, and returns the text that follows.
fn number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_ascii_start();
    let end = text.find(|letter: char| !letter.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    Some((digits.parse().ok()?, rest))
}

/// Prints the trigger as the kernel reads it.
impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_full { "full" } else { "some" };
        write!(f, "{kind} {} {}", self.threshold.0, self.window.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn read(text: &str, is_privileged: bool) -> Option<String> {
        Trigger::parse(text.as_bytes(), is_privileged).map(|trigger| trigger.to_string())
    }

    #[test]
    fn a_trigger_is_read_with_whatever_ends_it() {
        let text = Some("some 150000 2000000".to_owned());
        for end in ["", "\n", "\0", " x"] {
            assert_eq!(read(&format!("some 150000 2000000{end}"), false), text);
        }
        assert_eq!(
            read("full 1  10000000", false).as_deref(),
            Some("full 1 10000000")
        );
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        for text in [
            "",
            "some",
            "some 1",
            "none 1 2000000",
            "some 0 2000000",
            "some 2000001 2000000",
            "some 1 0",
            "some 1 12000000",
            "some -1 2000000",
            "SOME 1 2000000",
            "some x 2000000",
            "some 18446744073709551616 2000000",
        ] {
            assert_eq!(read(text, true), None, "{text}");
        }
    }

    #[test]
    fn only_the_privileged_choose_any_window() {
        assert_eq!(read("some 1000 1000000", false), None);
        assert!(read("some 1000 1000000", true).is_some());
        assert!(read("some 1000 4000000", false).is_some());
    }

    proptest! {
        #[test]
        fn what_was_read_and_printed_is_read_again(text in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(trigger) = Trigger::parse(&text, true) {
                prop_assert_eq!(Trigger::parse(trigger.to_string().as_bytes(), true), Some(trigger));
            }
        }
    }
}
