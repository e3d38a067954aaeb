//! `plimsoll daemon`.

use crate::{daemon, mounts, units::Micros};
use clap::Args;
use std::{path::PathBuf, time::Duration};

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
    /// How old an answer may be: within that time one read of the cgroup serves all readers.
    /// 0 reads anew for each
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = humantime::parse_duration)]
    max_age: Duration,
    /// Say "ready" on standard output, and end when the process ends that started this one
    #[arg(long, hide = true)]
    embedded: bool,
}

impl Daemon {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::logs(if self.embedded { "error" } else { "info" });
        let max_age = Micros(u64::try_from(self.max_age.as_micros()).unwrap_or(u64::MAX));
        if self.embedded {
            daemon::serve_embedded(&self.mountpoint, max_age)
        } else {
            daemon::serve(&self.mountpoint, max_age)
        }
    }
}
