//! Questions that may never be answered, each with a timeout.

use crate::base::sys;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// The bytes that are read of a file.
const MAX_START: usize = 512;
/// The time after which a command or a read counts as hung.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the text that a command prints; `None` if the command cannot be started or fails, or
/// prints on beyond the timeout, when the command is killed.
pub(super) fn command(program: impl AsRef<Path>, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program.as_ref());
    command.args(args).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let out = child.stdout.take()?;
    let text = sys::with_timeout(PROBE_TIMEOUT, move || sys::text_from(out));
    if text.is_none() {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    text.filter(|_| status.success())
}

/// Returns the first bytes of a file, at most 512, or the error of the read; `None` if the read
/// does not return within the timeout.
pub(super) fn start_of(path: PathBuf) -> Option<io::Result<Vec<u8>>> {
    sys::with_timeout(PROBE_TIMEOUT, move || {
        let mut bytes = vec![0; MAX_START];
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
