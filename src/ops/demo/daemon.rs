//! The daemon of a container: found among the descendants of the process that runs the container,
//! and killed.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd,
};

use crate::{
    base::{respawn, units::Pid},
    facts::host::parse,
};

/// Returns the daemon of the container that the process `run` runs: the child of the daemon's
/// keeper.
pub(super) fn find(run: Pid) -> Option<Pid> {
    let option = format!("--{}", respawn::EMBEDDED);
    let keeper = children(run).find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|arg| arg == option.as_bytes())
    });
    children(keeper?).next()
}

/// Kills a process that can do nothing against it.
pub(super) fn kill_at_once(pid: Pid) -> anyhow::Result<()> {
    let pid = unistd::Pid::from_raw(i32::try_from(pid.0)?);
    Ok(kill(pid, Signal::SIGKILL)?)
}

/// Returns the children of a process that have not ended.
fn children(of: Pid) -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(move |pid: &Pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.unwrap_or_default();
        parse::parent(&status) == Some(of) && !status.contains("\nState:\tZ")
    })
}
