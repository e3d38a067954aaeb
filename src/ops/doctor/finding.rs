//! Pure. A finding, and its level.

use crate::base::output::{Styled, Tone, escaped, shell_word};
use serde::Serialize;

/// The gravity of a finding, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The subject is in order.
    Ok,
    /// A property of the machine that is no fault, and does not change the exit status.
    Note,
    /// A part works less well than it could.
    Warning,
    /// Containers do not see their own files, or will not when something happens.
    Error,
}

impl Level {
    /// Returns the name, as it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Level::Ok => Tone::Good,
            Level::Note => Tone::Note,
            Level::Warning => Tone::Warning,
            Level::Error => Tone::Error,
        }
    }

    /// Returns the exit status of a command whose gravest finding has this level: 1 for a warning, 2
    /// for an error, else 0.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Level::Ok | Level::Note => 0,
            Level::Warning => 1,
            Level::Error => 2,
        }
    }
}

/// A fact about one subject, with its level and its fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The level.
    pub level: Level,
    /// The subject in one word: `kernel`, `daemon`, `docker`.
    pub subject: String,
    /// The fact, in one line.
    pub finding: String,
    /// The fix: a command where there is one. `None` where nothing is to be done.
    pub fix: Option<String>,
}

impl Finding {
    pub(in crate::ops) fn new(level: Level, subject: &str, finding: impl Into<String>) -> Finding {
        Finding {
            level,
            subject: subject.to_owned(),
            finding: finding.into(),
            fix: None,
        }
    }

    pub(in crate::ops) fn fix(self, fix: impl Into<String>) -> Finding {
        Finding {
            fix: Some(fix.into()),
            ..self
        }
    }

    /// Returns the finding as one line, without a newline.
    #[must_use]
    pub fn line(&self) -> String {
        self.parts(None).concat()
    }
}

/// The columns of the level and the subject, with the spaces after them.
const INDENT: usize = 21;

/// The least columns for the text of a finding; a narrower terminal wraps by itself.
const MIN_TEXT: usize = 30;

impl Finding {
    /// Returns the finding for a terminal with so many columns, without a newline at the end: the text
    /// wraps between words, below its first word, and the fix stands on a line of its own.
    #[must_use]
    pub fn wrapped(&self, columns: usize) -> String {
        self.parts(Some(columns)).concat()
    }

    /// Returns the finding as [`line`](Self::line), or as [`wrapped`](Self::wrapped) for a terminal,
    /// with a newline at the end. The level has the colour of its gravity.
    #[must_use]
    pub fn styled(&self, columns: Option<usize>) -> Styled {
        let tones = [self.level.tone(), Tone::Plain, Tone::Command];
        let pieces = tones.into_iter().zip(self.parts(columns));
        let add = |text: Styled, (tone, piece): (Tone, String)| text.add(tone, &piece);
        pieces.fold(Styled::default(), add).add(Tone::Plain, "\n")
    }

    /// Returns the level, the text after it, and the fix with what stands before the fix.
    fn parts(&self, columns: Option<usize>) -> [String; 3] {
        let (level, subject) = (self.level.name(), escaped(&self.subject).to_string());
        let gap = " ".repeat(8_usize.saturating_sub(level.len()));
        let fix = self
            .fix
            .as_deref()
            .map(|fix| format!("-> {}", escaped(fix)));
        let (finding, fix) = match columns {
            None => (
                escaped(&self.finding).to_string(),
                fix.map(|fix| format!(" {fix}")),
            ),
            Some(columns) => {
                let room = columns.saturating_sub(INDENT).max(MIN_TEXT);
                let newline = format!("\n{}", " ".repeat(INDENT));
                let joined = |text: &str| wrap(text, room).join(&newline);
                (
                    joined(&escaped(&self.finding).to_string()),
                    fix.map(|fix| newline.clone() + &joined(&fix)),
                )
            }
        };
        let text = format!("{gap} {subject:<11} {finding}");
        [level.to_owned(), text, fix.unwrap_or_default()]
    }
}

/// Splits a text between words into lines of at most `room` columns. A longer word has a line of its
/// own.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Returns a command line for the container that is shown by that name. A name can be any text.
pub(super) fn command_for(command: &str, shown: &str) -> String {
    let end_of_options = if shown.starts_with('-') { "-- " } else { "" };
    format!("plimsoll {command} {end_of_options}{}", shell_word(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    proptest! {
        #[test]
        fn no_name_puts_a_control_character_into_a_finding(name in any::<String>()) {
            let finding = Finding::new(Level::Note, &name, format!("{name} moved"));
            let line = finding.fix(command_for("attach", &name)).line();
            prop_assert!(!line.contains(char::is_control), "{:?}", line);
        }
    }

    #[test]
    fn a_finding_is_one_line_with_its_fix() {
        let finding = Finding::new(Level::Warning, "docker", "26.1.5 is not set up");
        assert_eq!(
            finding.fix("plimsoll install docker").line(),
            "warning  docker      26.1.5 is not set up -> plimsoll install docker"
        );
    }

    #[test]
    fn a_terminal_gets_whole_words_in_lines_that_fit() {
        let text = "containers see the files of lxcfs, and not those of Plimsoll";
        let finding = Finding::new(Level::Note, "lxcfs", text);
        let shown = finding.fix("systemctl disable --now lxcfs").wrapped(60);
        assert_eq!(
            shown,
            "note     lxcfs       containers see the files of lxcfs, and\n\
            \x20                    not those of Plimsoll\n\
            \x20                    -> systemctl disable --now lxcfs"
        );
    }

    #[test]
    fn no_name_of_a_container_acts_on_the_terminal_or_the_shell() {
        let name = "a\x1b[2J\nok       daemon; reboot";
        let finding = Finding::new(Level::Note, "containers", format!("{name} moved"));
        assert_eq!(
            finding.fix(command_for("attach", name)).line(),
            "note     containers  a\\x1b[2J\\nok       daemon; reboot moved -> \
             plimsoll attach 'a\\x1b[2J\\nok       daemon; reboot'"
        );
        assert_eq!(command_for("attach", "web"), "plimsoll attach web");
        assert_eq!(command_for("detach", "--all"), "plimsoll detach -- --all");
    }

    #[test]
    fn a_note_does_not_change_the_exit_status() {
        let levels = [Level::Ok, Level::Note, Level::Warning, Level::Error];
        assert_eq!(levels.map(Level::status), [0, 0, 1, 2]);
        assert!(levels.is_sorted());
    }
}
