//! The logs of the program itself on standard error, and the exit status of its failures.

use crate::base::output::{LogLine, complain};
use std::{env, panic};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The exit status of a failure of Plimsoll itself. Every other status can be that of a container's
/// command.
pub(super) const FAILURE_STATUS: u8 = 125;

/// Makes a panic print one line, as an error does: the message may quote a foreign name.
pub(super) fn print_panics() {
    panic::set_hook(Box::new(|panic| complain(&panic.to_string())));
}

/// Sends logs to standard error: those at `level` and above, or those that `RUST_LOG` names.
pub(super) fn logs(level: LevelFilter) {
    let named = env::var("RUST_LOG").ok();
    let filter = named.and_then(|named| named.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(level));
    let lines = fmt::layer()
        .with_writer(LogLine::default)
        .with_target(false)
        .with_filter(filter);
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
