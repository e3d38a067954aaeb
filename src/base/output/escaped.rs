//! Pure. Foreign text as characters that a terminal shows and does not act on.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fmt::{self, Write},
};

/// A text that prints each active character and each byte that is no UTF-8 as an escape: `\x1b`,
/// `\u{202e}`, `\n`.
///
/// Active are the control characters (C0, DEL, C1), separators of lines and paragraphs, characters
/// that turn the direction of text, and characters that are not seen. A backslash stays as it is:
/// systemd's names of cgroups have many.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a> {
    text: &'a [u8],
    /// True if newlines and tabs are the program's own, and stay.
    keeps_layout: bool,
}

/// Returns the text as one that prints on one line, whatever its characters are.
pub fn escaped<T: AsRef<OsStr> + ?Sized>(text: &T) -> Escaped<'_> {
    Escaped {
        text: text.as_ref().as_encoded_bytes(),
        keeps_layout: false,
    }
}

impl<'a> Escaped<'a> {
    /// Returns bytes as a text of which newlines and tabs stay.
    pub(super) fn with_layout(text: &'a [u8]) -> Escaped<'a> {
        Escaped {
            text,
            keeps_layout: true,
        }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.text.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\n' | '\t' if self.keeps_layout => f.write_char(char)?,
                    '\n' | '\t' | '\r' => write!(f, "{}", char.escape_default())?,
                    _ if !is_active(char) => f.write_char(char)?,
                    _ if char.is_ascii() => write!(f, "\\x{:02x}", u32::from(char))?,
                    _ => write!(f, "{}", char.escape_unicode())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Returns JSON with the active characters of its strings as `\u` escapes, of which the encoder
/// leaves those above U+001F. The newlines between values stay.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let is_escaped = |char: char| char != '\n' && is_active(char);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if !is_escaped(char) {
            safe.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // A write to a string cannot fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    Cow::Owned(safe)
}

/// Returns the text as one word of a shell's command line: a command that the program proposes names
/// a container, and a person copies the command.
#[must_use]
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./:@+,%=".contains(char);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("'{}'", text.replace('\'', "'\\''"))),
    }
}

/// Returns whether a terminal acts on the character, or shows nothing of it.
fn is_active(char: char) -> bool {
    let is_format = matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    char.is_control() || is_format
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    #[test]
    fn a_name_that_acts_on_terminals_is_printed_as_escapes() {
        for (name, printed) in [
            ("web-1 \\x2d ä", "web-1 \\x2d ä"),
            ("a\x1b[2J\x1b]0;b\x07", "a\\x1b[2J\\x1b]0;b\\x07"),
            ("a\nplimsoll: b\r\tc", "a\\nplimsoll: b\\r\\tc"),
            ("\u{9b}31m\x7f", "\\u{9b}31m\\x7f"),
            (
                "\u{202e}gnp\u{2028}\u{200b}",
                "\\u{202e}gnp\\u{2028}\\u{200b}",
            ),
        ] {
            assert_eq!(escaped(name).to_string(), printed);
        }
        let bytes = OsString::from_vec(b"a\xff\x9b31m".to_vec());
        assert_eq!(escaped(&bytes).to_string(), "a\\xff\\x9b31m");
        assert_eq!(Escaped::with_layout(b"a\tb\r\n").to_string(), "a\tb\\r\n");
    }

    #[test]
    fn a_command_that_is_proposed_takes_a_name_as_one_word() {
        for (name, word) in [
            ("web", "web"),
            ("default/pod-1/app", "default/pod-1/app"),
            ("", "''"),
            ("a; reboot", "'a; reboot'"),
            ("$(reboot)'`", "'$(reboot)'\\''`'"),
        ] {
            assert_eq!(shell_word(name), word);
        }
    }

    fn is_calm(text: &str) -> bool {
        !text.contains(is_active)
    }

    proptest! {
        #[test]
        fn no_name_has_an_active_character_when_it_is_printed(
            name in any::<Vec<u8>>(), text in any::<String>(),
        ) {
            prop_assert!(is_calm(&escaped(&OsString::from_vec(name.clone())).to_string()));
            prop_assert!(is_calm(&escaped(&text).to_string()));
            let kept = Escaped::with_layout(&name).to_string();
            prop_assert!(is_calm(&kept.replace(['\n', '\t'], "")));
        }

        #[test]
        fn json_without_active_characters_means_the_same(text in any::<String>()) {
            let whole = serde_json::json!({ "name": text, "same": format!("\u{9b}{text}\u{e0001}") });
            let plain = serde_json::to_string_pretty(&whole).unwrap();
            let safe = json(&plain);
            prop_assert!(is_calm(&safe.replace('\n', "")));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), whole);
        }
    }
}
