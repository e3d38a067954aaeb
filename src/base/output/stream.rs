//! The standard output and standard error of the program.

use super::{Escaped, Styled, escaped, json};
use anstream::AutoStream;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// The rows of a terminal that does not tell its rows.
const DEFAULT_ROWS: usize = 24;

/// The error of an output that nobody can write to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct PrintError(#[source] pub(super) io::Error);

/// Prints one line on standard error, after the name of the program; ignores a closed standard
/// error. Newlines in the text become spaces.
pub fn complain(line: &str) {
    let line = line.replace('\n', " ");
    let _ = writeln!(io::stderr(), "plimsoll: {}", escaped(&line));
}

/// Prints text on standard output. Newlines and tabs stay, other control characters are escaped.
///
/// # Errors
/// When standard output cannot be written to. A reader that has gone is no error.
pub fn print(text: &str) -> Result<(), PrintError> {
    write(Escaped::with_layout(text.as_bytes()).to_string().as_bytes())
}

/// Prints text on standard output, with its colours if that is a terminal. The variables of the
/// environment `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` prevail.
///
/// # Errors
/// When standard output cannot be written to. A reader that has gone is no error.
pub fn print_styled(text: &Styled) -> Result<(), PrintError> {
    write_to(AutoStream::auto(io::stdout().lock()), text.as_bytes())
}

/// Returns whether standard output is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns the columns of the terminal on standard output; `None` if there is no terminal.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    terminal_size().map(|(columns, _)| columns)
}

/// Returns the columns and the rows of the terminal on standard output, 24 rows for one that does not
/// tell; `None` if there is no terminal, or its columns are not known.
#[must_use]
pub fn terminal_size() -> Option<(usize, usize)> {
    let out = io::stdout();
    let size = tcgetwinsize(&out).ok().filter(|_| out.is_terminal())?;
    let rows = match usize::from(size.ws_row) {
        0 => DEFAULT_ROWS,
        rows => rows,
    };
    Some((usize::from(size.ws_col), rows)).filter(|(columns, _)| *columns > 0)
}

/// Prints a value as JSON on standard output, indented.
///
/// # Errors
/// When standard output cannot be written to. A reader that has gone is no error.
pub fn print_json(value: &impl Serialize) -> Result<(), PrintError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| PrintError(error.into()))?;
    write(format!("{}\n", json(&text)).as_bytes())
}

/// Prints the bytes of a file on standard output as they are, or on a terminal as [`print`](fn@print) does: a
/// path in `/proc/swaps` can have any character but four.
///
/// # Errors
/// When standard output cannot be written to. A reader that has gone is no error.
pub fn print_file(bytes: &[u8]) -> Result<(), PrintError> {
    match is_terminal() {
        true => write(Escaped::with_layout(bytes).to_string().as_bytes()),
        false => write(bytes),
    }
}

fn write(bytes: &[u8]) -> Result<(), PrintError> {
    write_to(io::stdout().lock(), bytes)
}

fn write_to(mut out: impl Write, bytes: &[u8]) -> Result<(), PrintError> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(PrintError(error)),
        _ => Ok(()),
    }
}

/// A writer of log lines on standard error. Each call of `write` takes one whole line, so a newline
/// within it is a foreign one.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogLine;

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(printed(line).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Returns a log line with the newline at its end only.
fn printed(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let text = Escaped::with_layout(line).to_string();
    format!("{}\n", text.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_begins_a_line_of_the_log() {
        let line = printed(b"WARN cgroup=/a\nWARN all is well \x1b[0m\n");
        assert_eq!(line, "WARN cgroup=/a\\nWARN all is well \\x1b[0m\n");
    }
}
