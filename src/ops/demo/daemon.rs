//! The daemon of a container: found among the descendants of the process that runs the container,
//! and killed.

use std::{fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd,
};

use crate::{
    base::{respawn, units::Pid},
    facts::host,
};

/// Returns the daemon of the container that the process `run` runs: the child of the daemon's
/// keeper.
pub(super) fn find(run: Pid) -> Option<Pid> {
    let option = format!("--{}", respawn::EMBEDDED);
    let keeper = living_children(run).find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|arg| arg == option.as_bytes())
    });
    living_children(keeper?).next()
}

/// Kills a process by SIGKILL.
///
/// # Errors
/// The errors of `kill(2)`.
pub(super) fn kill_daemon(pid: Pid) -> anyhow::Result<()> {
    let pid = unistd::Pid::from_raw(i32::try_from(pid.0)?);
    Ok(kill(pid, Signal::SIGKILL)?)
}

/// Returns the children of a process that have not ended.
fn living_children(of: Pid) -> impl Iterator<Item = Pid> {
    let children = host::children(Path::new("/"), of).into_iter();
    children.filter(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| !status.contains("\nState:\tZ"))
    })
}
