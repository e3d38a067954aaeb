//! `plimsoll daemon`.

use crate::{
    base::{config, paths, respawn, units::Micros},
    serve::daemon::{self, ServeSettings},
};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Serve every container its own /proc and /sys files, in the foreground.
///
/// Below MOUNTPOINT stand proc/ and sys/, in which every reader finds its own container's files,
/// and containers/KEY/ with one container's files (containers/self is the reader's own).
/// A keeper process watches over it, unless systemd does: should the daemon die or hang, another
/// one goes on where it stopped, and readers notice a pause. SIGTERM or Ctrl-C unmounts and ends
/// it; after SIGUSR1 its keeper, or systemd, starts another one that goes on.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// Where to mount; made if it is not there [default: as configured, /var/lib/plimsoll]
    mountpoint: Option<PathBuf>,
    /// Takes the place of the daemon that serves there, or waits for the next one if it has just
    /// died; no reader is kept waiting
    #[arg(long)]
    replace: bool,
    /// With --replace: only says whether that daemon could be replaced by this program
    #[arg(long, requires = "replace")]
    dry_run: bool,
    /// Runs without a keeper: if the daemon dies, reads fail until another one is started
    #[arg(long)]
    no_keeper: bool,
    /// Replaces a daemon that hangs after so many seconds; under systemd the unit says when
    /// [default: as configured, 10]
    #[arg(long = respawn::WATCHDOG, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    watchdog: Option<u64>,
    /// How old an answer may be: within that time one read of the cgroup serves all readers.
    /// 0 reads anew for each [default: as configured, 10ms]
    #[arg(long = respawn::MAX_AGE, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
    /// Takes what is not given here from this configuration
    #[arg(long = respawn::CONFIG, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
    /// Say "ready" on standard output, and end when the process ends that started this one
    #[arg(long = respawn::EMBEDDED, hide = true)]
    embedded: bool,
    /// Keeps the daemon with this pid, whose socket is standard input
    #[arg(long = respawn::ADOPT, hide = true)]
    adopt: Option<i32>,
    /// Takes the view away whose daemon has ended, if systemd stops this unit for good
    #[arg(long, hide = true, value_name = "UNIT")]
    clean_up_after: Option<String>,
}

impl Daemon {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        super::logs(if self.embedded || self.dry_run {
            "error"
        } else {
            "info"
        });
        let configured = match self.embedded || self.adopt.is_some() {
            // The one belongs to a container, and the other is told everything.
            true => config::Config::default(),
            false => config::read(&self.config)?,
        };
        let mountpoint = self.mountpoint.unwrap_or(configured.mountpoint);
        if let Some(unit) = self.clean_up_after {
            return daemon::clean_up(&mountpoint, &unit).map(|()| 0);
        }
        let max_age = self.max_age.unwrap_or(configured.max_age);
        let watchdog = self.watchdog.map(Duration::from_secs);
        let config = ServeSettings {
            mountpoint,
            is_kept: !self.no_keeper,
            watchdog: watchdog.unwrap_or(configured.watchdog),
            max_age: Micros(u64::try_from(max_age.as_micros()).unwrap_or(u64::MAX)),
            replaces: self.replace,
            is_dry_run: self.dry_run,
            is_embedded: self.embedded,
            configuration: self.config,
            adopts: self.adopt,
        };
        let status = daemon::serve(config, |error| super::complain(&format!("{error:#}")))?;
        Ok(u8::try_from(status).unwrap_or(super::FAILURE_STATUS))
    }
}
