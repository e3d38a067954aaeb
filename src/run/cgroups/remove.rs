//! The removal of a container's cgroups, with every process in them.

use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::run::cgroups::hierarchies::{Hierarchies, PARENT_CGROUP};

/// The timeout for the killed processes of a container to leave its cgroups.
pub(crate) const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two attempts to remove a cgroup.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Returns whether cgroups of the container `name` exist.
pub(crate) fn exist(name: &str) -> bool {
    Hierarchies::find().is_ok_and(|hierarchies| {
        let mut tops = hierarchies.tops().into_iter();
        tops.any(|top| top.join(PARENT_CGROUP).join(name).exists())
    })
}

/// Kills every process in the cgroups of the container `name`, and removes the cgroups. Logs each
/// cgroup that it cannot remove within [`REMOVAL_TIMEOUT`].
pub(crate) fn remove(name: &str) {
    let Ok(hierarchies) = Hierarchies::find() else {
        return;
    };
    for top in hierarchies.tops() {
        let parent = top.join(PARENT_CGROUP);
        let cgroup = parent.join(name);
        if let Err(error) = kill_and_remove(&cgroup) {
            tracing::warn!(path = %cgroup.display(), %error, "cannot remove the cgroup");
        }
        // The kernel refuses this removal while other containers have cgroups here.
        let _ = fs::remove_dir(parent);
    }
}

fn kill_and_remove(cgroup: &Path) -> io::Result<()> {
    let deadline = Instant::now() + REMOVAL_TIMEOUT;
    loop {
        match remove_tree(cgroup) {
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
        // cgroup.kill exists on v2 since kernel 5.14.
        if fs::write(cgroup.join("cgroup.kill"), "1").is_err() {
            kill_all(cgroup);
        }
        thread::sleep(RETRY_INTERVAL);
    }
}

fn remove_tree(cgroup: &Path) -> io::Result<()> {
    match fs::read_dir(cgroup) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => {
            for entry in entries?.flatten() {
                if entry.file_type()?.is_dir() {
                    remove_tree(&entry.path())?;
                }
            }
        }
    }
    fs::remove_dir(cgroup)
}

fn kill_all(cgroup: &Path) {
    let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    for pid in procs.lines().filter_map(|line| line.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            kill_all(&entry.path());
        }
    }
}
