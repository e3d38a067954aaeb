//! Questions that may never be answered, each with a timeout.

use crate::base::{respawn::Respawn, sys};
use std::{
    io,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The time after which a command or a read counts as hung.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The time for which this process waits for the end of a process that it has killed, and the interval
/// of the questions. A process that waits for a daemon which has taken its request cannot be killed
/// (`request_wait_answer` in `fs/fuse/dev.c`).
const KILL_TIMEOUT: Duration = Duration::from_millis(50);
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Returns the text that a command prints; `None` if the command cannot be started or fails, or
/// prints or runs on beyond the timeout, when the command is killed.
pub(super) fn command(program: impl AsRef<Path>, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program.as_ref());
    command.args(args);
    printed(command).ok()?
}

/// Returns the first bytes of a file, or the error of the read; `None` if the read does not return
/// within the timeout. A process of its own reads: a thread that cannot be killed would keep this
/// process from ending.
pub(super) fn start_of(file: &Path) -> Option<io::Result<String>> {
    match printed(Respawn::Probe { file }.command()) {
        Ok(Some(text)) if text.is_empty() => Some(Err(io::ErrorKind::Other.into())),
        Ok(text) => text.map(Ok),
        Err(error) => Some(Err(error)),
    }
}

/// Returns the text that a command prints; `None` if the command fails or takes longer than the timeout.
fn printed(mut command: Command) -> io::Result<Option<String>> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let deadline = Instant::now() + PROBE_TIMEOUT;
    let out = child.stdout.take();
    let text = out.and_then(|out| sys::with_timeout(PROBE_TIMEOUT, move || sys::text_from(out)));
    let status = text.as_ref().and_then(|_| ended_by(&mut child, deadline));
    if status.is_none() {
        let _ = child.kill();
        ended_by(&mut child, Instant::now() + KILL_TIMEOUT);
    }
    Ok(text.filter(|_| status.is_some_and(|status| status.success())))
}

/// Waits for the end of a process up to `deadline`.
fn ended_by(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(CHECK_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_never_ends_is_not_waited_for() {
        let begun = Instant::now();
        assert_eq!(command("sleep", &["60"]), None);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_command_that_closes_its_output_and_goes_on_is_not_waited_for() {
        let begun = Instant::now();
        assert_eq!(command("sh", &["-c", "exec >&-; sleep 60"]), None);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_command_answers_or_fails() {
        assert_eq!(command("echo", &["a"]).as_deref(), Some("a\n"));
        assert_eq!(command("false", &[]), None);
        assert_eq!(command("/nowhere/none", &[]), None);
    }
}
