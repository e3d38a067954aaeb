//! Finds the containers with Plimsoll's files, and the cgroup of which the files tell.

use super::{group::key_of, namespaces::OccupiedNamespace};
use crate::base::units::{Key, Pid};
use std::{io, time::Duration};

/// The files of one cgroup in one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundFiles {
    /// A process in the container.
    pub pid: Pid,
    /// The key whose files are mounted in the container.
    pub key: Key,
}

/// The time for the read of the mounts of one namespace.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// Finds every container with files of a directory `containers/KEY`, of any view. A container whose
/// mounts take long to read is left out.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub fn find_bound() -> io::Result<Vec<BoundFiles>> {
    let others = OccupiedNamespace::all()?.into_iter();
    let others = others.filter(|namespace| !namespace.is_own);
    let bound = others.filter_map(|namespace| {
        let (pid, mounts) = namespace.own_mounts(READ_TIMEOUT).ok()??;
        let key = mounts.iter().find_map(key_of)?;
        Some(BoundFiles { pid, key })
    });
    Ok(bound.collect())
}
