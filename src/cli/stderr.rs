//! The logs of the program itself on standard error, and the exit status of its failures.

use crate::base::output::{LogLine, complain};
use std::panic;

/// The exit status of a failure of Plimsoll itself. Every other status can be that of a container's
/// command.
pub(super) const FAILURE_STATUS: u8 = 125;

/// Makes a panic print one line, as an error does: the message may quote a foreign name.
pub(super) fn print_panics() {
    panic::set_hook(Box::new(|panic| complain(&panic.to_string())));
}

/// Sends logs to standard error: those at `level` and above, or those that `RUST_LOG` names.
pub(super) fn logs(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogLine::default)
        .with_target(false)
        .try_init();
}
