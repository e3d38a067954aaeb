//! The mount namespaces of the machine.

use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::FS_TYPE,
        units::Pid,
    },
    inject::namespace::{inode_of, processes},
};
use std::{collections::BTreeMap, io, path::Path, time::Duration};

/// A mount namespace of the machine with the processes in it.
#[derive(Debug)]
pub(super) struct OccupiedNamespace {
    /// True for the mount namespace of this process.
    pub(super) is_own: bool,
    pub(super) inode: u64,
    pub(super) pids: Vec<Pid>,
}

impl OccupiedNamespace {
    /// Lists every mount namespace that has a process, this process's own first: its mounts may have
    /// peers in the others, to which a change propagates.
    pub(super) fn all() -> io::Result<Vec<OccupiedNamespace>> {
        let own = inode_of("self");
        let mut found: BTreeMap<u64, OccupiedNamespace> = BTreeMap::new();
        for pid in processes()? {
            let pid = pid?;
            // A process may end, and a kernel thread has no namespace.
            let Some(inode) = inode_of(&pid.to_string()) else {
                continue;
            };
            let namespace = found.entry(inode).or_insert(OccupiedNamespace {
                is_own: Some(inode) == own,
                inode,
                pids: Vec::new(),
            });
            namespace.pids.push(pid);
        }
        let (own, others): (Vec<_>, Vec<_>) = found.into_values().partition(|one| one.is_own);
        Ok([own, others].into_iter().flatten().collect())
    }

    /// Returns a process of the namespace and Plimsoll's mounts there; `None` if the namespace has no
    /// process with mounts any more.
    ///
    /// # Errors
    /// When a read of the mounts takes longer than `limit`.
    pub(super) fn own_mounts(&self, limit: Duration) -> io::Result<Option<(Pid, Vec<Mount>)>> {
        for pid in &self.pids {
            match mountinfo::of_kind_within(*pid, FS_TYPE, limit) {
                Ok(Some(mounts)) => return Ok(Some((*pid, mounts))),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                // The process may have ended.
                Ok(None) | Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// Returns the device number of Plimsoll's file system that is mounted last at `point` in this
/// process's mount namespace.
pub(super) fn device(point: &Path) -> Option<String> {
    let mounts = mountinfo::own_of_kind(FS_TYPE).ok()?.into_iter();
    let mut mounts = mounts.filter(|mount| mount.point == point);
    mounts.next_back().map(|mount| mount.device)
}
