//! The mount namespaces of the machine, each entered by a thread of its own.

use crate::base::{
    mountinfo::{self, Mount},
    paths::FS_TYPE,
    units::Pid,
};
use nix::sched::{CloneFlags, setns, unshare};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    thread,
};

/// A mount namespace, seen through one of its processes.
#[derive(Debug)]
pub(super) struct VisitedNamespace {
    /// The process.
    pub(super) pid: Pid,
    /// Whether it is this process's own.
    pub(super) is_own: bool,
    namespace: File,
}

impl VisitedNamespace {
    /// Every mount namespace that has a process, this process's own included.
    pub(super) fn all() -> io::Result<Vec<VisitedNamespace>> {
        let own = fs::metadata("/proc/self/ns/mnt")?.ino();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process may end, and a kernel thread has no namespace.
            let Ok(namespace) = File::open(format!("/proc/{pid}/ns/mnt")) else {
                continue;
            };
            let number = namespace.metadata()?.ino();
            if seen.insert(number) {
                found.push(VisitedNamespace {
                    pid,
                    is_own: number == own,
                    namespace,
                });
            }
        }
        Ok(found)
    }

    /// The mounts of our kind in it.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        let mut mounts = mountinfo::of(self.pid).unwrap_or_default();
        mounts.retain(|mount| mount.kind == FS_TYPE);
        mounts
    }

    /// The path of a mount point in it, from outside.
    pub(super) fn path(&self, mount: &Mount) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        let below = mount.point.strip_prefix("/").unwrap_or(&mount.point);
        root.join(below)
    }

    /// Does something in it.
    pub(super) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> nix::Result<T> {
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                // A thread that shares its root with others may not change it.
                unshare(CloneFlags::CLONE_FS)?;
                setns(&self.namespace, CloneFlags::CLONE_NEWNS)?;
                Ok(work())
            });
            there.join().unwrap_or(Err(nix::errno::Errno::EFAULT))
        })
    }
}

/// The number of the file system of ours that is mounted last at that point, as this process sees
/// it.
pub(super) fn device(point: &std::path::Path) -> Option<String> {
    let mounts = mountinfo::own().ok()?.into_iter();
    let mut mounts = mounts.filter(|mount| mount.kind == FS_TYPE && mount.point == point);
    mounts.next_back().map(|mount| mount.device)
}
