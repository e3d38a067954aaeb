//! The errors and logs of the program itself: lines on standard error, and an exit status.

use std::io::{IsTerminal, Write};

/// The exit status of a failure of Plimsoll itself. Every other status can be that of a container's
/// command.
pub(super) const FAILURE_STATUS: u8 = 125;

/// Prints one line on standard error; ignores a closed standard error.
pub(super) fn complain(line: &str) {
    let line = line.replace('\n', " ");
    let _ = writeln!(std::io::stderr(), "plimsoll: {line}");
}

/// Sends logs to standard error: those at `level` and above, or those that `RUST_LOG` names.
pub(super) fn logs(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
