//! Looks for mounts of ours for which nobody answers, and touches none.

use super::{namespaces::VisitedNamespace, replace::is_dead};
use crate::base::{paths, units::Pid};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// The dead mounts of one view in one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadMounts {
    /// A process in the container.
    pub pid: Pid,
    /// How many they are.
    pub mounts: usize,
    /// The mount point of the view that they are of.
    pub view: PathBuf,
}

/// The dead mounts in every container. A view at its own mount point is none of them, nor is a copy
/// of it there; and a file system that does not answer at all is not dead: its daemon hangs.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub fn find_dead() -> io::Result<Vec<DeadMounts>> {
    let mut known = BTreeMap::new();
    let mut found = Vec::new();
    for namespace in VisitedNamespace::all()? {
        let mut views: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for mount in namespace.mounts() {
            let view = paths::view_of_source(&mount.source).unwrap_or_default();
            if mount.point.starts_with(&view) && view != Path::new("") {
                continue;
            }
            let is_dead = known
                .entry(mount.device.clone())
                .or_insert_with(|| is_dead(namespace.path(&mount)));
            if *is_dead {
                *views.entry(view).or_default() += 1;
            }
        }
        found.extend(views.into_iter().map(|(view, mounts)| DeadMounts {
            pid: namespace.pid,
            mounts,
            view,
        }));
    }
    Ok(found)
}
