//! Repairs the mounts of every mount namespace, one namespace after the other.

use super::namespaces::{OccupiedNamespace, Round, Visit};
use crate::{
    base::{mountinfo::Mount, units::Pid},
    inject::namespace::MountNamespace,
};
use std::{io, path::PathBuf, sync::Arc};

/// The result for the mounts of one container.
#[derive(Debug)]
pub struct RepairedContainer {
    /// A process in the container.
    pub pid: Pid,
    /// The number of mounts that are as they should be now.
    pub mounts: usize,
    /// The error of the first mount that is not.
    pub failed: Option<String>,
}

/// Calls `repair` for each namespace with Plimsoll's mounts there that `is_wanted` accepts,
/// except those at `points` in this process's own namespace, which are the view itself. `repair`
/// returns the number of mounts that are as they should be, or an error, for each place.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub(super) fn each(
    points: &[PathBuf],
    is_wanted: impl Fn(&Mount) -> bool,
    repair: impl Fn(&MountNamespace, &[Mount]) -> Vec<Result<usize, String>> + Send + Sync + 'static,
) -> io::Result<Vec<RepairedContainer>> {
    let repair = Arc::new(repair);
    let mut repaired = Vec::new();
    let round = Round::start()?;
    for namespace in OccupiedNamespace::all()? {
        let is_wanted = |mount: &Mount| {
            let is_view = namespace.is_own && points.contains(&mount.point);
            is_wanted(mount) && !is_view
        };
        let Some(Visit { pid, result }) = namespace.visit(&round, is_wanted, &repair) else {
            continue;
        };
        let results = result.unwrap_or_else(|error| vec![Err(error)]);
        if !results.is_empty() {
            repaired.push(RepairedContainer {
                pid,
                mounts: results.iter().flatten().sum(),
                failed: results.into_iter().find_map(Result::err),
            });
        }
    }
    Ok(repaired)
}

/// Returns whether the mount point of `mount` lies below that of `outer`: the way there leads through
/// files for which there may be no daemon.
pub(super) fn is_within(mount: &Mount, outer: &Mount) -> bool {
    outer.point != mount.point && mount.point.starts_with(&outer.point)
}

/// Returns the mounts that are within no other mount of `mounts`; of several mounts at one mount
/// point, the last one.
pub(super) fn outermost(mounts: &[Mount]) -> Vec<&Mount> {
    let mut found: Vec<&Mount> = Vec::new();
    for mount in mounts {
        if mounts.iter().any(|outer| is_within(mount, outer)) {
            continue;
        }
        found.retain(|other| other.point != mount.point);
        found.push(mount);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;

    #[test]
    fn a_mount_within_another_goes_with_that_one() {
        let line = |id: u32, point: &str| {
            format!("{id} 24 0:26 / {point} ro - fuse.plimsoll plimsoll rw\n")
        };
        let text = line(1, "/v/containers") + &line(2, "/v") + &line(3, "/v2") + &line(4, "/v");
        let mounts: Vec<Mount> = mountinfo::parse(&text).collect();
        let found: Vec<u32> = outermost(&mounts).iter().map(|mount| mount.id).collect();
        assert_eq!(found, [3, 4]);
    }
}
