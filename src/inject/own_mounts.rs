//! The mounts of this process, as far as work in containers needs them, read once for many containers.

use crate::base::{
    mountinfo::{self, Mount},
    paths::FS_TYPE,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek},
    os::fd::AsFd,
    path::Path,
    sync::Arc,
};

/// The bytes for which room is made before the first read of a `mountinfo` file.
const FIRST_ROOM: usize = 32 << 10;

/// The mounts of this process, as far as work in containers needs them.
#[derive(Debug, Default)]
pub(super) struct OwnMounts {
    /// The mounts of Plimsoll's file systems.
    pub(super) served: Vec<Mount>,
    /// The peer groups of all mounts.
    pub(super) peers: Arc<BTreeSet<u32>>,
}

impl OwnMounts {
    /// Reads the mounts.
    ///
    /// # Errors
    /// The errors of `open(2)` and `read(2)` on `/proc/self/mountinfo`.
    pub(super) fn read() -> io::Result<OwnMounts> {
        OwnMountsReader::new()?.read()
    }
}

/// The mounts of this process, which are read again only when one was mounted or unmounted: the file
/// of tens of thousands of mounts takes the kernel some ten milliseconds.
///
/// A mount that only joins a peer group (`mount --make-shared`) is not noticed. No container that
/// runs at that moment has a mount of the new group.
#[derive(Debug)]
pub(super) struct OwnMountsReader {
    file: File,
    last: Mutex<Option<Arc<OwnMounts>>>,
}

impl OwnMountsReader {
    /// Opens `/proc/self/mountinfo`.
    ///
    /// # Errors
    /// The errors of `open(2)`.
    pub(super) fn new() -> io::Result<OwnMountsReader> {
        OwnMountsReader::at(Path::new("/proc/self/mountinfo"))
    }

    fn at(path: &Path) -> io::Result<OwnMountsReader> {
        Ok(OwnMountsReader {
            file: File::open(path)?,
            last: Mutex::default(),
        })
    }

    /// Returns the mounts of this process now.
    ///
    /// # Errors
    /// The errors of `read(2)`.
    pub(super) fn now(&self) -> io::Result<Arc<OwnMounts>> {
        let mut last = self.last.lock();
        match &*last {
            Some(mounts) if !self.has_changed() => Ok(Arc::clone(mounts)),
            _ => {
                let mounts = Arc::new(self.read()?);
                *last = Some(Arc::clone(&mounts));
                Ok(mounts)
            }
        }
    }

    /// Returns whether the kernel has told of a mount or unmount since the last call, or since the
    /// file was opened (`mounts_poll` in `fs/proc_namespace.c`). An error counts as a change.
    fn has_changed(&self) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLPRI)];
        let changed = poll(&mut fds, PollTimeout::ZERO);
        let is_quiet = fds.first().and_then(PollFd::any) == Some(false);
        changed.is_err() || !is_quiet
    }

    fn read(&self) -> io::Result<OwnMounts> {
        let mut text = Vec::with_capacity(FIRST_ROOM);
        (&self.file).rewind()?;
        (&self.file).read_to_end(&mut text)?;
        Ok(OwnMounts {
            served: mountinfo::parse_kind(&text, FS_TYPE).collect(),
            peers: Arc::new(mountinfo::parse_peers(&text).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{
        mount::{MsFlags, mount, umount},
        sched::{CloneFlags, unshare},
    };

    #[test]
    fn mounts_that_do_not_change_are_read_once() {
        let reader = OwnMountsReader::new().unwrap();
        // Another program of the machine may mount something in between, but not each time.
        let is_kept = (0..100).any(|_| {
            let first = reader.now().unwrap();
            Arc::ptr_eq(&first, &reader.now().unwrap())
        });
        assert!(is_kept);
    }

    #[test]
    fn the_mounts_of_our_file_systems_and_all_peer_groups_are_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = format!("9 1 0:5 / /v rw shared:3 - {FS_TYPE} plimsoll:/v rw\n");
        std::fs::write(
            file.path(),
            line + "10 1 0:6 / /x rw shared:4 - ext4 x rw\n",
        )
        .unwrap();
        let mounts = OwnMountsReader::at(file.path()).unwrap().read().unwrap();
        assert_eq!(mounts.served.len(), 1);
        assert_eq!(*mounts.peers, BTreeSet::from([3, 4]));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_mount_of_this_process_is_noticed() {
        let mounted = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            let reader = OwnMountsReader::at(Path::new("/proc/thread-self/mountinfo")).unwrap();
            let before = reader.now().unwrap();
            assert!(Arc::ptr_eq(&before, &reader.now().unwrap()));
            let directory = tempfile::tempdir().unwrap();
            let flags = MsFlags::empty();
            mount(Some("x"), directory.path(), Some("tmpfs"), flags, none).unwrap();
            mount(none, directory.path(), none, MsFlags::MS_SHARED, none).unwrap();
            let after = reader.now().unwrap();
            umount(directory.path()).unwrap();
            after.peers.len() - before.peers.len()
        });
        assert_eq!(mounted.join().unwrap(), 1);
    }
}
