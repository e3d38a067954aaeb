//! Pure. Text of which pieces have a meaning, and the colour of each meaning.

use super::Escaped;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// The meaning of a piece of text, which decides the colour of the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Text without a colour.
    Plain,
    /// A title.
    Title,
    /// A command to type, or the fix of a fault.
    Command,
    /// A subject that is in order.
    Good,
    /// A fact that is no fault.
    Note,
    /// A fault that does not stop the program.
    Warning,
    /// A fault.
    Error,
}

impl Tone {
    fn style(self) -> Style {
        let bold = |color: AnsiColor| color.on_default().bold();
        match self {
            Tone::Plain => Style::new(),
            Tone::Title => Style::new().bold(),
            Tone::Command => AnsiColor::Cyan.on_default(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Note => AnsiColor::Blue.on_default(),
            Tone::Warning => bold(AnsiColor::Yellow),
            Tone::Error => bold(AnsiColor::Red),
        }
    }
}

/// A text with the codes of its colours, which are the only characters that a terminal acts on:
/// those of the pieces are escaped, but for newlines and tabs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Styled(String);

impl Styled {
    /// Returns the text with a further piece at its end.
    #[must_use]
    pub fn add(mut self, tone: Tone, piece: &str) -> Styled {
        if piece.is_empty() {
            return self;
        }
        let (style, piece) = (tone.style(), Escaped::with_layout(piece.as_bytes()));
        // A write to a string cannot fail.
        let _ = write!(self.0, "{style}{piece}{style:#}");
        self
    }

    /// Returns the text without the codes of its colours.
    #[cfg(test)]
    pub(crate) fn without_codes(&self) -> String {
        let mut pieces = self.0.split('\x1b');
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.fold(first, |text, piece| {
            text + piece.split_once('m').map_or("", |(_, rest)| rest)
        })
    }

    /// Returns the bytes for a terminal with colours.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromIterator<Styled> for Styled {
    /// Returns the texts one after another.
    fn from_iter<Texts: IntoIterator<Item = Styled>>(texts: Texts) -> Styled {
        Styled(texts.into_iter().map(|text| text.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn a_piece_has_the_codes_of_its_tone_around_it() {
        let text = Styled::default()
            .add(Tone::Error, "a")
            .add(Tone::Plain, "b\n");
        assert_eq!(text.0, "\x1b[1m\x1b[31ma\x1b[0mb\n");
    }

    proptest! {
        #[test]
        fn no_name_adds_a_code_to_those_of_the_tones(name in any::<String>()) {
            let codes = |text: &str| text.matches(|char: char| char.is_control() && !"\n\t".contains(char)).count();
            let text = Styled::default().add(Tone::Warning, &format!("{name}.")).0;
            prop_assert_eq!(codes(&text), codes(&Styled::default().add(Tone::Warning, ".").0));
        }
    }
}
