//! `plimsoll daemon`.

use super::{rights::require_root, stderr};
use crate::{
    base::{
        config::{self, MAX_AGE_RANGE, WATCHDOG_RANGE},
        output, paths, respawn,
        units::{Micros, Pid},
    },
    serve::daemon::{self, Mode, ServeSettings},
};
use clap::Args;
use std::{path::PathBuf, time::Duration};
use tracing::level_filters::LevelFilter;

/// Serve every container its own /proc and /sys files, in the foreground.
///
/// In MOUNTPOINT, proc/ and sys/ show each reader the files of the reader's own container.
/// containers/KEY/ shows the files of one container (containers/self: of the reader's own).
/// A keeper process watches over the daemon, unless systemd does: when the daemon dies or hangs,
/// another one goes on where the first one stopped, and readers notice a pause. SIGTERM or Ctrl-C
/// unmounts everything and ends the daemon. After SIGUSR1 the keeper, or systemd, starts another
/// daemon that goes on; so does SIGHUP under systemd (systemctl reload), where that daemon reads the
/// configuration anew.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// The directory to mount on; made if it does not exist [default: as configured,
    /// /var/lib/plimsoll]
    mountpoint: Option<PathBuf>,
    /// Takes the place of the daemon that serves there, or of the next one if that daemon has just
    /// died; no read fails
    #[arg(long)]
    replace: bool,
    /// With --replace: only checks whether this program could replace that daemon
    #[arg(long, requires = "replace")]
    dry_run: bool,
    /// Runs without a keeper: if the daemon dies, reads fail until another one is started
    #[arg(long)]
    no_keeper: bool,
    /// Replaces a daemon that hangs for this time: like 2s or 1m, or a number of seconds; under systemd
    /// the unit sets the time [default: as configured, 10s]
    #[arg(long = respawn::WATCHDOG, value_name = "TIME", value_parser = |text: &str| WATCHDOG_RANGE.parse(text))]
    watchdog: Option<Duration>,
    /// The maximum age of an answer: within that time one read of the cgroup serves all readers.
    /// 0 reads the cgroup at each open; opens of a file that the kernel caches still share an answer
    /// for 1 ms [default: as configured, 10ms]
    #[arg(long = respawn::MAX_AGE, value_name = "TIME", value_parser = |text: &str| MAX_AGE_RANGE.parse(text))]
    max_age: Option<Duration>,
    /// The configuration file, for every setting that is not given here
    #[arg(long = respawn::CONFIG, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
    /// Writes "ready" to standard output when the daemon serves, and ends with the parent process
    #[arg(long = respawn::EMBEDDED, hide = true)]
    embedded: bool,
    /// Becomes the keeper of the daemon with this pid, whose channel is standard input
    #[arg(long = respawn::ADOPT, hide = true, value_name = "PID")]
    adopt: Option<Pid>,
    /// Removes the view of a daemon that has ended, if systemd stops this unit for good
    #[arg(long, hide = true, value_name = "UNIT")]
    clean_up_after: Option<String>,
}

impl Daemon {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let mode = self.mode();
        stderr::logs(match mode {
            Mode::Embedded | Mode::CheckReplace => LevelFilter::ERROR,
            _ => LevelFilter::INFO,
        });
        let configured = match mode {
            // An embedded daemon belongs to a container.
            Mode::Embedded => config::Config::default(),
            // A new keeper gets the other settings from the daemon that started it, and must start
            // even if the file has a mistake by now.
            Mode::Adopt(_) => config::read(&self.config).unwrap_or_default(),
            _ => config::read(&self.config)?,
        };
        require_root("a daemon")?;
        let mountpoint = self.mountpoint.unwrap_or(configured.mountpoint);
        if let Some(unit) = self.clean_up_after {
            return daemon::clean_up(&mountpoint, &unit).map(|()| 0);
        }
        let max_age = self.max_age.unwrap_or(configured.max_age);
        let settings = ServeSettings {
            mode,
            mountpoint,
            watchdog: self.watchdog.unwrap_or(configured.watchdog),
            max_age: Micros(u64::try_from(max_age.as_micros()).unwrap_or(u64::MAX)),
            share: configured.share,
            config_file: self.config,
        };
        let status = daemon::serve(settings, |error| output::complain(&format!("{error:#}")))?;
        Ok(u8::try_from(status).unwrap_or(stderr::FAILURE_STATUS))
    }

    fn mode(&self) -> Mode {
        let has_keeper = !self.no_keeper;
        match self.adopt {
            Some(pid) => Mode::Adopt(pid),
            None if self.embedded => Mode::Embedded,
            None if self.dry_run => Mode::CheckReplace,
            None if self.replace => Mode::Replace { has_keeper },
            None => Mode::Serve { has_keeper },
        }
    }
}
