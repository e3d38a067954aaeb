//! Pure. What was found, and how grave it is.

use serde::Serialize;

/// How grave a finding is; each is graver than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// What is so on this machine, and no fault: it does not change the exit status.
    Note,
    /// Something does not work as well as it could.
    Warning,
    /// Containers do not see their own files, or will not when something happens.
    Error,
}

impl Level {
    /// Its name, as it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    /// The exit status of a command that found nothing graver: 0, 1 for a warning, 2 for an error.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Level::Ok | Level::Note => 0,
            Level::Warning => 1,
            Level::Error => 2,
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// What it is about: `kernel`, `daemon`, `docker`.
    pub subject: String,
    /// What is so, in one line.
    pub finding: String,
    /// What to do about it: a command where there is one. `None` where nothing is to be done.
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn new(level: Level, subject: &str, finding: impl Into<String>) -> Finding {
        Finding {
            level,
            subject: subject.to_owned(),
            finding: finding.into(),
            fix: None,
        }
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Finding {
        Finding {
            fix: Some(fix.into()),
            ..self
        }
    }

    /// It as a line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        let (level, subject) = (self.level.name(), &self.subject);
        let line = format!("{level:<8} {subject:<11} {}", self.finding);
        match &self.fix {
            Some(fix) => format!("{line} -> {fix}"),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_mend() {
        let finding = Finding::new(Level::Warning, "docker", "26.1.5 is not set up");
        assert_eq!(
            finding.fix("plimsoll install docker").line(),
            "warning  docker      26.1.5 is not set up -> plimsoll install docker"
        );
    }

    #[test]
    fn a_note_does_not_change_the_exit_status() {
        let levels = [Level::Ok, Level::Note, Level::Warning, Level::Error];
        assert_eq!(levels.map(Level::status), [0, 0, 1, 2]);
        assert!(levels.is_sorted());
    }
}
