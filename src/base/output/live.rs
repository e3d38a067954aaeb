//! A terminal that shows one text after another in the same place.

use super::{PrintError, Styled};
use anstream::{AutoStream, ColorChoice};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};
use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// The codes that give the program the other screen of the terminal, hide the cursor, and end the wrap of
/// long lines; and those that take this back. The text of before is on the first screen.
const BEGIN: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
const END: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The codes that move the cursor to the first character, clear the rest of a line, and clear the rest
/// of the screen. A line is never cleared before it is written, so nothing flickers.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// The terminal on standard output, while one text after another is shown there. A drop shows what was
/// there before.
#[derive(Debug)]
pub struct LiveTerminal {
    colours: ColorChoice,
    /// The settings of the terminal on standard input, which shows what is typed.
    settings: Option<Termios>,
}

impl LiveTerminal {
    /// Takes the terminal on standard output; `None` without a terminal that can be written to again in
    /// the same place.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn open() -> Result<Option<LiveTerminal>, PrintError> {
        let out = io::stdout();
        if !out.is_terminal() || env::var_os("TERM").is_some_and(|name| name == "dumb") {
            return Ok(None);
        }
        let colours = AutoStream::choice(&out);
        let settings = tcgetattr(io::stdin()).ok();
        if let Some(mut silent) = settings.clone() {
            silent.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &silent);
        }
        let terminal = LiveTerminal { colours, settings };
        write(BEGIN)?;
        Ok(Some(terminal))
    }

    /// Shows the text in the place of the one before. Every line must fit the terminal, and all of them
    /// its rows.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn show(&self, text: &Styled) -> Result<(), PrintError> {
        let mut lines = AutoStream::new(Vec::new(), self.colours);
        lines.write_all(text.as_bytes()).map_err(PrintError)?;
        write(&frame(&lines.into_inner()))
    }
}

impl Drop for LiveTerminal {
    fn drop(&mut self) {
        let _ = write(END);
        if let Some(settings) = &self.settings {
            // The shell must not read what was typed for this program.
            let _ = tcflush(io::stdin(), QueueSelector::IFlush);
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, settings);
        }
    }
}

/// Returns the bytes that show the lines in the place of those before. A newline behind the last line
/// would move a full screen.
fn frame(lines: &[u8]) -> Vec<u8> {
    let text = lines.strip_suffix(b"\n").unwrap_or(lines);
    let mut frame = HOME.as_bytes().to_vec();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            frame.extend_from_slice(b"\r\n");
        }
        frame.extend_from_slice(line);
        frame.extend_from_slice(CLEAR_LINE.as_bytes());
    }
    frame.extend_from_slice(CLEAR_REST.as_bytes());
    frame
}

/// Writes all bytes at once, so that the terminal never shows a part.
fn write(bytes: &[u8]) -> Result<(), PrintError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(PrintError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_over_the_one_before_and_what_is_left_of_that_is_cleared() {
        let expected = b"\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J";
        assert_eq!(frame(b"a\nb\n"), expected);
        assert_eq!(frame(b""), b"\x1b[H\x1b[K\x1b[J");
    }
}
