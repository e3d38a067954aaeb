//! Repairs the mounts of every mount namespace, one namespace after the other.

use super::{
    dead::DeadDevices,
    namespaces::{OccupiedNamespace, Round, Visit},
    report::RepairedContainer,
};
use crate::{base::mountinfo::Mount, inject::namespace::MountNamespace};
use std::{io, path::PathBuf};

/// Calls `repair` for each namespace with Plimsoll's mounts there that `is_wanted` accepts,
/// except those at `points` in this process's own namespace, which are the view itself. `repair`
/// returns the number of mounts that are as they should be, or an error, for each place.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub(super) fn each(
    points: &[PathBuf],
    is_wanted: impl Fn(&Mount) -> bool,
    repair: impl Fn(&MountNamespace, &[Mount], &DeadDevices) -> Vec<Result<usize, String>>,
) -> io::Result<Vec<RepairedContainer>> {
    let mut repaired = Vec::new();
    let round = Round::start()?;
    let repair = |namespace: &MountNamespace, mounts: &[Mount], dead: &DeadDevices| {
        let results = repair(namespace, mounts, dead);
        let mounts: usize = results.iter().flatten().sum();
        (mounts, results.into_iter().find_map(Result::err))
    };
    for namespace in OccupiedNamespace::all()? {
        let is_wanted = |mount: &Mount| {
            let is_view = namespace.is_own && points.contains(&mount.point);
            is_wanted(mount) && !is_view
        };
        let Some(Visit { pid, result }) = namespace.visit(&round, is_wanted, &repair) else {
            continue;
        };
        let (mounts, failed) = result.unwrap_or_else(|error| (0, Some(error)));
        if mounts > 0 || failed.is_some() {
            repaired.push(RepairedContainer {
                pid,
                mounts,
                failed,
            });
        }
    }
    Ok(repaired)
}
