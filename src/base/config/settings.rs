//! Pure. The settings and their defaults.

use super::{LeaveOut, values};
use crate::base::paths::DEFAULT_MOUNTPOINT;
use std::{path::PathBuf, time::Duration};

/// The configuration. A key that the file does not name has its default.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The mount point of the daemon's view; `hook`, `attach`, `run` and `doctor` look there.
    #[serde(deserialize_with = "values::absolute")]
    pub mountpoint: PathBuf,
    /// True to fail the start of a container that cannot get its view.
    pub require: bool,
    /// True to give a view also to containers whose limits leave them the whole machine.
    pub unlimited: bool,
    /// The longest delay of a container's start by a daemon that does not answer; from 1 ms to 1 hour.
    #[serde(deserialize_with = "values::hook_timeout")]
    pub hook_timeout: Duration,
    /// The maximum age of an answer, up to 1 hour; 0 for facts that are read anew for each answer. The facts in a
    /// new answer are at most half as old.
    #[serde(deserialize_with = "values::max_age")]
    pub max_age: Duration,
    /// The time after which the keeper replaces a silent daemon; from 1 second to 1 day.
    #[serde(deserialize_with = "values::watchdog")]
    pub watchdog: Duration,
    /// The part of a CPU that the daemon works for one container, in percent; from 1 to
    /// 10,000. Requests of a container beyond that wait.
    #[serde(deserialize_with = "values::percent")]
    pub share: u32,
    /// The settings of `plimsoll runtime`.
    pub runtime: RuntimeSettings,
    /// The containers that get no view.
    pub leave_out: LeaveOut,
}

/// The settings of `plimsoll runtime`, the table `[runtime]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuntimeSettings {
    /// The path or name of the OCI runtime that creates the containers; empty for the first of runc
    /// and crun.
    pub path: PathBuf,
    /// True to give each container a time namespace, where the OCI runtime supports one.
    pub time_namespace: bool,
}

impl Default for RuntimeSettings {
    fn default() -> RuntimeSettings {
        RuntimeSettings {
            path: PathBuf::new(),
            time_namespace: true,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mountpoint: PathBuf::from(DEFAULT_MOUNTPOINT),
            require: false,
            unlimited: false,
            hook_timeout: Duration::from_secs(2),
            max_age: Duration::from_millis(10),
            watchdog: Duration::from_secs(10),
            share: 10,
            runtime: RuntimeSettings::default(),
            leave_out: LeaveOut::default(),
        }
    }
}
