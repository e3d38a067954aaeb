//! The clean-up after a stopped daemon that could not clean up itself, since systemd killed it.

use super::{containers, mountpoint};
use crate::{base::paths, serve::wire::Side};
use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, umount2};
use std::{path::Path, process::Command};

/// Removes the view from every container and unmounts it, if systemd is stopping `unit` and the
/// daemon did not end well. For `ExecStopPost=`, which runs after every end of a daemon: does
/// nothing after one that ended well, and nothing if systemd starts a next one.
///
/// # Errors
/// When systemd does not answer, or the processes of the machine cannot be listed.
pub fn clean_up(mountpoint: &Path, unit: &str) -> Result<()> {
    let ended_well = std::env::var_os("SERVICE_RESULT").is_some_and(|result| result == "success");
    if ended_well || !is_stopping(unit)? {
        return Ok(());
    }
    let mountpoint = mountpoint::resolve(mountpoint)?;
    let points = Side::BOTH.map(|side| side.mountpoint(&mountpoint));
    containers::remove_view(&points)?;
    // MNT_DETACH takes the mounts within along: their paths lead through files that no daemon serves.
    while mountpoint::top_fs_type(&mountpoint)?.as_deref() == Some(paths::FS_TYPE) {
        umount2(&mountpoint, MntFlags::MNT_DETACH)
            .with_context(|| format!("cannot unmount {}", mountpoint.display()))?;
    }
    Ok(())
}

/// Returns whether systemd stops the unit for good. A unit that systemd starts again after a failure
/// has no job, and one that is restarted has a job of another type.
fn is_stopping(unit: &str) -> Result<bool> {
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["list-jobs", "--no-legend", "--plain", unit]);
    let answer = systemctl.output().context("cannot run systemctl")?;
    if !answer.status.success() {
        let error = String::from_utf8_lossy(&answer.stderr);
        bail!("systemctl list-jobs {unit} failed: {error}");
    }
    Ok(is_stop(&String::from_utf8_lossy(&answer.stdout), unit))
}

/// Returns whether a list of jobs (number, unit, type, state) has a stop of that unit.
fn is_stop(jobs: &str, unit: &str) -> bool {
    jobs.lines().any(|job| {
        let mut words = job.split_whitespace().skip(1);
        words.next() == Some(unit) && words.next() == Some("stop")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_stopping_when_its_job_is_a_stop() {
        let unit = "plimsoll.service";
        for (jobs, is_so) in [
            ("123 plimsoll.service stop running\n", true),
            ("123 plimsoll.service restart running\n", false),
            ("123 other.service stop running\n", false),
            ("\n", false),
        ] {
            assert_eq!(is_stop(jobs, unit), is_so, "{jobs}");
        }
    }
}
