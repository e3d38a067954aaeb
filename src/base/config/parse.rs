//! Pure. Parses the text of a configuration file.

use super::Config;

/// Parses the text of a configuration file.
///
/// # Errors
/// The first mistake, as one line of text that begins with the number of its line.
pub fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        let said = error.message().replace('\n', ", ");
        match line {
            Some(line) => format!("line {line}: {said}"),
            None => said,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};
    use std::time::Duration;

    #[test]
    fn what_is_set_counts_and_the_rest_has_its_default() {
        let config = parse("require = true\nmax-age = \"1s\"\nwatchdog = 3\n").unwrap();
        let expected = Config {
            require: true,
            max_age: Duration::from_secs(1),
            watchdog: Duration::from_secs(3),
            ..Config::default()
        };
        assert_eq!(config, expected);
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn a_mistake_is_told_in_one_line_with_where_it_is() {
        for (text, said) in [
            ("\nreqire = true", "line 2: unknown field `reqire`"),
            ("require = \"yes\"", "line 1: invalid type"),
            (
                "watchdog = \"0s\"",
                "line 1: the time must be from 1s to 1day",
            ),
            (
                "hook-timeout = \"0s\"",
                "line 1: the time must be from 1ms to 1h",
            ),
            ("max-age = \"soon\"", "line 1: \"soon\" is no time"),
            ("max-age = \"2h\"", "line 1: the time must be from 0s to 1h"),
            ("watchdog = -1", "line 1: \"-1\" is no time"),
            ("watchdog = true", "line 1: invalid type: boolean"),
            ("watchdog = nan", "line 1: invalid type: floating point"),
            (
                "share = \"0%\"",
                "line 1: the share must be from 1% to 10000%",
            ),
            (
                "share = \"99999999999%\"",
                "line 1: the share must be from 1% to 10000%",
            ),
            ("share = \"-5%\"", "line 1: \"-5%\" is no share"),
            ("share = \"NaN%\"", "line 1: \"NaN%\" is no share"),
            ("share = 10", "line 1: invalid type: integer"),
            ("mountpoint = \"view\"", "line 1: view is no absolute path"),
            ("require =", "line 1: "),
            (
                "[leave-out]\nimages = [\"ok\", \"[a\"]",
                "line 2: leave-out.images: \"[a\" is no pattern like",
            ),
            (
                "[leave-out]\nnames = [\"\"]",
                "line 2: leave-out.names: \"\" is no pattern like",
            ),
            (
                "leave-out.namespaces = \"x\"",
                "line 1: leave-out.namespaces: invalid type: string \"x\"",
            ),
            ("leave-out.image = []", "line 1: unknown field `image`"),
        ] {
            let mistake = parse(text).unwrap_err();
            assert!(mistake.starts_with(said), "{mistake}");
            assert!(!mistake.contains('\n'), "{mistake}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
