//! What a daemon leaves behind that systemd had to kill when it was stopped.

use super::{lock, tell};
use crate::{base::paths, inject::repair, serve::wire::Side};
use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, umount2};
use std::{path::Path, process::Command};

/// Takes the view out of every container and away, if systemd is stopping that unit and the
/// daemon could not do it itself. To be run when its daemon has ended, however it did: after one
/// that ended well, and before a next one, there is nothing to be done.
///
/// # Errors
/// When systemd cannot be asked, or the containers cannot be looked for.
pub fn clean_up(mountpoint: &Path, unit: &str) -> Result<()> {
    let ended_well = std::env::var_os("SERVICE_RESULT").is_some_and(|result| result == "success");
    if ended_well || !is_stopping(unit)? {
        return Ok(());
    }
    let mountpoint = lock::resolved(mountpoint)?;
    let points = Side::BOTH.map(|side| side.mountpoint(&mountpoint));
    tell("taken out", &repair::remove(&points)?);
    // What is mounted within goes with it: the way there leads through files for which nobody answers.
    while lock::mounted_at(&mountpoint)?.as_deref() == Some(paths::FS_TYPE) {
        umount2(&mountpoint, MntFlags::MNT_DETACH)
            .with_context(|| format!("cannot unmount {}", mountpoint.display()))?;
    }
    Ok(())
}

/// Whether systemd stops the unit for good; while it starts it again after a failure it has no
/// job, and for a restart one of another type.
fn is_stopping(unit: &str) -> Result<bool> {
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["list-jobs", "--no-legend", "--plain", unit]);
    let answer = systemctl.output().context("cannot ask systemd")?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        bail!("systemd does not say whether it stops {unit}: {said}");
    }
    Ok(is_stop(&String::from_utf8_lossy(&answer.stdout), unit))
}

/// Whether a list of jobs (number, unit, type, state) has that unit's stop.
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
