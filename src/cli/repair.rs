//! `plimsoll repair`: the repair of mounts in containers. It is hidden, for only a daemon and doctor
//! start it.

use crate::{
    base::{
        output,
        respawn::{self, RepairTask},
    },
    inject::repair,
};
use anyhow::{Context, Result};
use nix::sys::{prctl, signal::Signal};
use std::path::PathBuf;

/// Repairs the mounts of a view in every container, and prints what was done as JSON.
///
/// Puts mounts of the view in the place of those that a dead daemon has left. Ends with the process
/// that started it.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Repair {
    /// Takes the mounts out of the containers instead
    #[arg(long = respawn::REMOVE, requires = "points", conflicts_with = "view")]
    remove: bool,
    /// Finds the mounts that a dead daemon has left, and changes none
    #[arg(long = respawn::FIND, conflicts_with_all = ["remove", "view", "points"])]
    find: bool,
    /// The mount point of the view
    #[arg(long = respawn::VIEW, value_name = "DIR", required_unless_present_any = ["remove", "find"])]
    view: Option<PathBuf>,
    /// The mount points of the connections of the view
    #[arg(value_name = "DIR")]
    points: Vec<PathBuf>,
}

impl Repair {
    pub(super) fn run(&self) -> Result<u8> {
        let points = &self.points;
        let task = match &self.view {
            Some(view) => RepairTask::Replace { view, points },
            None if self.remove => RepairTask::Remove { points },
            None => RepairTask::Find,
        };
        prctl::set_pdeathsig(Signal::SIGKILL).context("cannot end with the parent process")?;
        let report = repair::carry_out(task).context("cannot list the processes")?;
        output::print_json(&report)?;
        Ok(0)
    }
}
