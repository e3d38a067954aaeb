//! Questions whose answer may never come: each is waited for so long and no longer.

use crate::base::sys;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(2);

/// What a command prints; `None` if there is none such, it fails, or takes too long. It is killed then.
pub(super) fn command(program: impl AsRef<Path>, words: &[&str]) -> Option<String> {
    let mut command = Command::new(program.as_ref());
    command.args(words).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut out = child.stdout.take()?;
    let text = sys::with_timeout(PATIENCE, move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        text
    });
    if text.is_none() {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    text.filter(|_| status.success())
}

/// The first bytes of a file, or why there are none; `None` if nobody answers.
pub(super) fn file(path: PathBuf) -> Option<io::Result<Vec<u8>>> {
    sys::with_timeout(PATIENCE, move || {
        let mut bytes = vec![0; 512];
        let length = File::open(&path)?.read(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_never_ends_is_not_waited_for() {
        let begun = std::time::Instant::now();
        assert_eq!(command("sleep", &["60"]), None);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_command_answers_or_fails() {
        assert_eq!(command("echo", &["a"]).as_deref(), Some("a\n"));
        assert_eq!(command("false", &[]), None);
        assert_eq!(command("/nowhere/none", &[]), None);
    }
}
