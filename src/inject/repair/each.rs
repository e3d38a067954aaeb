//! Repairs the mounts of every mount namespace.

use super::{
    dead::DeadDevices,
    namespaces::OccupiedNamespace,
    report::{RepairResult, RepairedContainer},
    round::{Round, Visit},
};
use crate::{base::mountinfo::Mount, inject::namespace::MountNamespace};
use std::{io, path::PathBuf, time::Duration};

/// Calls `repair` for each namespace with Plimsoll's mounts there that `is_wanted` accepts,
/// except those at `points` in this process's own namespace, which are the view itself, until `limit` is
/// over. `repair` returns the number of mounts that are as they should be, or an error, for each place.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub(super) fn each(
    points: &[PathBuf],
    limit: Duration,
    is_wanted: impl Fn(&Mount) -> bool,
    repair: impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> Vec<Result<usize, String>>,
) -> io::Result<RepairResult> {
    let is_wanted = |namespace: &OccupiedNamespace, mount: &Mount| {
        let is_view = namespace.is_own && points.contains(&mount.point);
        is_wanted(mount) && !is_view
    };
    let repair = |namespace: &MountNamespace, mounts: &[Mount], dead: &DeadDevices| {
        let results = repair(namespace, mounts, dead);
        let mounts: usize = results.iter().flatten().sum();
        (mounts, results.into_iter().find_map(Result::err))
    };
    let visits = Round::start(limit)?.visit_all(is_wanted, &repair)?;
    let made = visits.made.into_iter();
    let containers = made.filter_map(|Visit { pid, result }| {
        let (mounts, failed) = result.unwrap_or_else(|error| (0, Some(error)));
        (mounts > 0 || failed.is_some()).then_some(RepairedContainer {
            pid,
            mounts,
            failed,
        })
    });
    Ok(RepairResult {
        containers: containers.collect(),
        unreached: visits.unreached,
    })
}
