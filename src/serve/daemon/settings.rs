//! The settings of a daemon, and the reasons for which it ends.

use crate::base::units::{Micros, Pid};
use std::{path::PathBuf, time::Duration};

/// The settings of a daemon.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// The act of the daemon.
    pub mode: Mode,
    /// The directory on which the daemon serves.
    pub mountpoint: PathBuf,
    /// The time after which a daemon that hangs is killed. Under systemd the unit sets that time.
    pub watchdog: Duration,
    /// The maximum age of an answer when a reader gets it.
    pub max_age: Micros,
    /// The part of a CPU that the daemon works for one container, in percent.
    pub share: u32,
    /// The configuration file, for processes that the daemon starts.
    pub config_file: PathBuf,
}

/// The act of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Serve the containers of the host.
    Serve {
        /// True for a daemon with a keeper. Under systemd no daemon has one.
        has_keeper: bool,
    },
    /// Serve in place of the daemon that serves on the mount point.
    Replace {
        /// True for a daemon with a keeper.
        has_keeper: bool,
    },
    /// Find out whether [`Mode::Replace`] would succeed, without disturbing the daemon that serves.
    CheckReplace,
    /// Serve one container of `plimsoll run`, in a mount namespace where no other daemon serves.
    /// Write `ready` to standard output when the daemon serves, and end with the parent process.
    Embedded,
    /// Be the keeper of the daemon with this pid, whose own keeper died. Standard input is the
    /// channel to that daemon.
    Adopt(Pid),
}

/// A reason for a daemon to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A signal ends the daemon for good.
    Stop,
    /// A signal ends the daemon, which leaves everything to a successor.
    Restart,
    /// A successor serves.
    Replaced,
    /// The kernel has ended a connection, or the view is no longer mounted.
    Disconnected,
}
