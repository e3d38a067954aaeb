//! The view in the containers: removed at the end of a daemon, replaced where a dead one left it.

use crate::inject::repair::{self, RepairResult, RepairedContainer};
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    thread,
};

/// The maximum number of containers that are logged one by one.
const MAX_LOGGED: usize = 50;

/// Removes the mounts of the view, which is mounted at `points`, from every container.
///
/// # Errors
/// When the process that does this fails or cannot be started.
pub(super) fn remove_view(points: &[PathBuf]) -> Result<()> {
    log(&repair::remove(points)?, "view removed");
    Ok(())
}

/// Mounts the view, on a thread, in the containers where a dead daemon has left its own. The view is
/// the one on `mountpoint`, mounted at `points`.
pub(super) fn replace_dead_views(mountpoint: &Path, points: Vec<PathBuf>) {
    let mountpoint = mountpoint.to_owned();
    thread::spawn(move || match repair::replace_dead(&mountpoint, &points) {
        Ok(repaired) => log(&repaired, "dead view replaced"),
        Err(error) => tracing::warn!(%error, "cannot list the containers to repair"),
    });
}

/// Logs the first containers, and the number of the others: a container may make any number of mount
/// namespaces.
fn log(repair: &RepairResult, act: &str) {
    let containers = repair.containers.iter();
    for RepairedContainer {
        pid,
        mounts,
        failed,
    } in containers.take(MAX_LOGGED)
    {
        if *mounts > 0 {
            tracing::info!(
                pid = pid.0,
                mounts,
                "{act} in the container of this process"
            );
        }
        if let Some(error) = failed {
            tracing::warn!(pid = pid.0, %error, "cannot reach every mount in the container of this process");
        }
    }
    let more = repair.containers.iter().skip(MAX_LOGGED);
    let (failed, done): (Vec<_>, Vec<_>) = more.partition(|one| one.failed.is_some());
    if !done.is_empty() {
        tracing::info!(namespaces = done.len(), "{act} in more mount namespaces");
    }
    let unreached = failed.len() + repair.unreached;
    if unreached > 0 {
        tracing::warn!(
            namespaces = unreached,
            "cannot reach every mount in more mount namespaces in time: their files of the view are dead"
        );
    }
}
