//! `plimsoll demo`.

use super::rights::require_root;
use crate::{
    base::{config::PAUSE_RANGE, output, respawn},
    ops::demo,
};
use clap::Args;
use std::time::Duration;

/// Show in a minute what Plimsoll does, in real containers of this machine.
///
/// Starts a container of 256 MB and one CPU without Plimsoll and then with it, kills the daemon
/// under a reader, and changes the container's limit of memory. Needs no engine, image,
/// configuration or daemon; a daemon that serves this machine is not touched. Leaves nothing
/// behind, at its end as after Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The time to read each step: like 5s or 500ms, or a number of seconds [default: 8s on a
    /// terminal, else 0]
    #[arg(long, value_name = "TIME", value_parser = |text: &str| PAUSE_RANGE.parse(text))]
    pause: Option<Duration>,
    /// Reads in a container until standard input has a line or ends
    #[arg(long = respawn::READER, hide = true)]
    reader: bool,
}

/// The time to read a step on a terminal.
const PAUSE: Duration = Duration::from_secs(8);

impl Demo {
    /// Shows the demo; returns the exit status, which names the signal that ended it.
    pub(super) fn run(self) -> anyhow::Result<u8> {
        if self.reader {
            return demo::read_until_told().map(|()| 0);
        }
        require_root("a demo")?;
        let default = match output::is_terminal() {
            true => PAUSE,
            false => Duration::ZERO,
        };
        demo::run(self.pause.unwrap_or(default))
    }
}
