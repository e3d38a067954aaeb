//! Tasks in a process of their own: a process that waits for a file system of a container cannot always
//! be killed, and would keep what a daemon holds: its lock, its connections.

use super::{
    find::find_dead,
    remove as removal, replace,
    report::{DeadMounts, RepairResult, Report},
};
use crate::base::respawn::{RepairTask, Respawn};
use serde::de::DeserializeOwned;
use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

/// Takes the mounts of the file systems that are mounted at `points` out of every container, which
/// sees the host's files there again.
///
/// # Errors
/// When the process that does this fails or cannot be started.
pub fn remove(points: &[PathBuf]) -> io::Result<RepairResult> {
    report_of(RepairTask::Remove { points })
}

/// Puts mounts of the view at `view` in the place of every dead mount of a view that was there before,
/// in every container. `points` are the mount points of the living view.
///
/// # Errors
/// When the process that does this fails or cannot be started.
pub fn replace_dead(view: &Path, points: &[PathBuf]) -> io::Result<RepairResult> {
    report_of(RepairTask::Replace { view, points })
}

/// Finds the dead mounts in every container. A view at its own mount point does not count, nor does a
/// copy of the view there; and a file system that does not answer at all is not dead: its daemon
/// hangs.
///
/// # Errors
/// When the process that does this fails or cannot be started.
pub fn find_dead_mounts() -> io::Result<Vec<DeadMounts>> {
    report_of(RepairTask::Find)
}

/// Carries a task out in this process, which must have one thread only.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub fn carry_out(task: RepairTask<'_>) -> io::Result<Report> {
    match task {
        RepairTask::Remove { points } => removal::remove(points).map(Report::Repaired),
        RepairTask::Replace { view, points } => {
            replace::replace_dead(view, points).map(Report::Repaired)
        }
        RepairTask::Find => find_dead().map(Report::Dead),
    }
}

/// Returns the report of another process that carries the task out. The standard error of that
/// process is this one's.
fn report_of<T: DeserializeOwned>(task: RepairTask<'_>) -> io::Result<T> {
    // A process that was killed, as for lack of memory, must not leave dead files behind.
    report_of_one(task).or_else(|_| report_of_one(task))
}

fn report_of_one<T: DeserializeOwned>(task: RepairTask<'_>) -> io::Result<T> {
    let mut process = Respawn::Repair(task).command();
    process.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = process.output()?;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout)?),
        false => Err(io::Error::other(
            "the process that looks into containers has failed",
        )),
    }
}
