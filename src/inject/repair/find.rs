//! Finds mounts of Plimsoll whose daemons are dead, and changes none.

use super::{
    dead::DeadDevices,
    namespaces::OccupiedNamespace,
    report::DeadMounts,
    round::{Round, Visit},
};
use crate::{
    base::{mountinfo::Mount, paths},
    inject::namespace::MountNamespace,
};
use std::{collections::BTreeMap, ffi::OsString, io, path::PathBuf, time::Duration};

/// The time for all containers.
const FIND_TIMEOUT: Duration = Duration::from_secs(5);

/// Finds the dead mounts in every container. A view at its own mount point does not count, nor does a
/// copy of the view there; and a file system that does not answer at all is not dead: its daemon
/// hangs.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub(super) fn find_dead() -> io::Result<Vec<DeadMounts>> {
    let count = |namespace: &MountNamespace, mounts: &[Mount], dead: &DeadDevices| {
        let mut views: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for mount in dead.among(namespace, mounts) {
            *views.entry(view_of(mount)).or_default() += 1;
        }
        // The name of a view may be no UTF-8.
        let views = views.into_iter();
        let views = views.map(|(view, mounts)| (view.into_os_string(), mounts));
        views.collect::<Vec<(OsString, usize)>>()
    };
    let is_elsewhere = |_: &OccupiedNamespace, mount: &Mount| {
        let view = view_of(mount);
        !mount.point.starts_with(&view) || view.as_os_str().is_empty()
    };
    let visits = Round::start(FIND_TIMEOUT)?.visit_all(is_elsewhere, &count)?;
    let mut found = Vec::new();
    for Visit { pid, result } in visits.made {
        // A namespace that cannot be entered has no mounts that doctor could name.
        let views = result.unwrap_or_default().into_iter();
        found.extend(views.map(|(view, mounts)| DeadMounts { pid, mounts, view }));
    }
    Ok(found)
}

/// Returns the mount point of the view that a mount is of; an empty path if its source names none.
fn view_of(mount: &Mount) -> PathBuf {
    paths::view_of_source(&mount.source).unwrap_or_default()
}
