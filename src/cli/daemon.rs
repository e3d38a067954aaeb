//! `plimsoll daemon`.

use crate::{daemon, mounts};
use clap::Args;
use std::path::PathBuf;

/// Serve every container its own /proc and /sys files, in the foreground.
///
/// Below MOUNTPOINT stand proc/ and sys/, in which every reader finds its own container's files,
/// and containers/KEY/ with one container's files (containers/self is the reader's own).
/// SIGTERM or Ctrl-C unmounts and ends it.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// Where to mount; made if it is not there
    #[arg(default_value = mounts::SERVED)]
    mountpoint: PathBuf,
    /// Say "ready" on standard output, and end when the process ends that started this one
    #[arg(long, hide = true)]
    embedded: bool,
}

impl Daemon {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::logs(if self.embedded { "error" } else { "info" });
        if self.embedded {
            daemon::serve_embedded(&self.mountpoint)
        } else {
            daemon::serve(&self.mountpoint)
        }
    }
}
