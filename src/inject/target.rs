//! What lies in a container where a file of ours is to be put.
//!
//! The container may hold anything: no symbolic link is followed, what was opened must lie in the
//! kernel's own file system, and what is mounted there must show in no other place. Nothing here
//! asks a file system of the container's own anything, unless it is put there this very moment.

use super::{Below, Bind};
use crate::base::{mountinfo::Mount, paths::FS_TYPE, sys::mount};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    mount::{MntFlags, umount2},
    sys::stat::Mode,
    unistd::fchdir,
};
use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Why nothing can be put there.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    /// It cannot be opened.
    #[error("cannot open {} in the container", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no file of the kernel's.
    #[error("{} in the container is not the kernel's own file: it lies in a file system of type {kind}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it lies in.
        kind: String,
    },
    /// The container's mounts have changed while they were looked at.
    #[error("the container moves what is mounted at {}", path.display())]
    Moving {
        /// The file.
        path: PathBuf,
    },
    /// What is mounted there would show outside of the container too.
    #[error("{} in the container lies in a mount that it shares with others", path.display())]
    Shared {
        /// The file.
        path: PathBuf,
    },
}

/// The root directory of a container, and the mounts that can be found there.
#[derive(Debug)]
pub(super) struct ContainerRoot {
    /// The directory.
    pub(super) directory: OwnedFd,
    /// Its path, as the mounts' points have it.
    pub(super) path: PathBuf,
    /// The mounts of its namespace.
    pub(super) mounts: Vec<Mount>,
    /// The groups of mounts that have a member outside of the container.
    pub(super) shared: BTreeSet<u32>,
}

/// A file or directory of the container's that may be covered.
#[derive(Debug)]
pub(super) struct MountTarget<'a> {
    /// It.
    pub(super) file: OwnedFd,
    /// The mount that it lies in.
    pub(super) mount: &'a Mount,
}

impl ContainerRoot {
    /// What is to be covered for that bind; `None` if the container has no such file.
    pub(super) fn target(&self, bind: Bind) -> Result<Option<MountTarget<'_>>, TargetError> {
        let shown = Path::new("/").join(bind.path);
        if let Some(kind) = self.in_the_way(&self.path.join(bind.path)) {
            let kind = kind.to_owned();
            return Err(TargetError::Foreign { path: shown, kind });
        }
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let file = match openat2(&self.directory, bind.path, how) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(source) => {
                return Err(TargetError::Refused {
                    path: shown,
                    source: source.into(),
                });
            }
        };
        let Some(mount) = mount_of(&file, &self.mounts) else {
            return Err(TargetError::Moving { path: shown });
        };
        let kernels = match bind.below {
            Below::Proc => "proc",
            Below::Sys => "sysfs",
        };
        if mount.kind != kernels && mount.kind != FS_TYPE {
            let kind = mount.kind.clone();
            return Err(TargetError::Foreign { path: shown, kind });
        }
        if mount.kind == kernels
            && mount
                .peers
                .is_some_and(|group| self.shared.contains(&group))
        {
            return Err(TargetError::Shared { path: shown });
        }
        Ok(Some(MountTarget { file, mount }))
    }

    /// The type of a file system on the way there whose daemon would have to be asked; that of the
    /// root itself the runtime has asked too.
    fn in_the_way(&self, path: &Path) -> Option<&str> {
        // Anybody may call his file system as ours is called; ours lie at the files and not above.
        let is_ours = |mount: &Mount| mount.kind == FS_TYPE && mount.point == path;
        let mut mounts = self.mounts.iter();
        let mount = mounts.find(|mount| {
            mount.kind.starts_with("fuse")
                && mount.point.starts_with(&self.path)
                && mount.point != self.path
                && path.starts_with(&mount.point)
                && !is_ours(mount)
        });
        mount.map(|mount| mount.kind.as_str())
    }
}

impl MountTarget<'_> {
    /// Puts a tree on top of it, and nowhere else: if the container has moved it meanwhile to where
    /// others would see the tree too, the kernel refuses.
    pub(super) fn cover(&self, tree: BorrowedFd<'_>) -> nix::Result<()> {
        self.put(tree, mount::attach)
    }

    /// Puts a tree beneath the mount that it is the top of, and takes that one away.
    ///
    /// Before Linux 6.5, and where the container may not lose what it was given, the old one stays
    /// below the new one.
    pub(super) fn replace(&self, tree: BorrowedFd<'_>, open: &FdDirectory) -> nix::Result<()> {
        match self.put(tree, mount::attach_beneath) {
            Ok(()) => self.uncover(open),
            Err(_) => self.cover(tree),
        }
    }

    /// Takes the mount away that it is the top of: that one, whatever lies there by now.
    pub(super) fn uncover(&self, open: &FdDirectory) -> nix::Result<()> {
        fchdir(&open.0)?;
        let name = self.file.as_raw_fd().to_string();
        umount2(name.as_str(), MntFlags::MNT_DETACH)
    }

    fn put(
        &self,
        tree: BorrowedFd<'_>,
        put: fn(BorrowedFd<'_>, BorrowedFd<'_>) -> nix::Result<()>,
    ) -> nix::Result<()> {
        if self.mount.peers.is_some() {
            // It has been seen that all who share it are in the container.
            return put(tree, self.file.as_fd());
        }
        mount::make_unbindable(tree)?;
        put(tree, self.file.as_fd())?;
        mount::make_private(tree)
    }
}

/// The open files of this process, each by its number, wherever its root is.
#[derive(Debug)]
pub(super) struct FdDirectory(OwnedFd);

impl FdDirectory {
    /// Those of this process, which has to have its own root yet.
    pub(super) fn of_this() -> io::Result<FdDirectory> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(FdDirectory(open("/proc/self/fd", flags, Mode::empty())?))
    }
}

/// The path of an open file or directory as the kernel names it.
pub(super) fn name(file: impl AsFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

/// The mount that an open file lies in, if it is among these; the file itself is not asked.
pub(super) fn mount_of(file: impl AsFd, mounts: &[Mount]) -> Option<&Mount> {
    let number = mount::number(file.as_fd()).ok()?;
    mounts.iter().find(|mount| u64::from(mount.id) == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;

    /// The type of what is in the way to /proc/meminfo, of a container with that mount.
    fn in_the_way(mount: &str) -> Option<String> {
        let root = ContainerRoot {
            directory: open("/", OFlag::O_PATH, Mode::empty()).unwrap(),
            path: "/merged".into(),
            mounts: mountinfo::parse(&format!("31 24 0:27 / {mount} x rw\n")).collect(),
            shared: BTreeSet::new(),
        };
        let kind = root.in_the_way(Path::new("/merged/proc/meminfo"));
        kind.map(str::to_owned)
    }

    #[test]
    fn a_fuse_on_the_way_is_not_asked_but_for_the_root_itself_and_what_is_ours() {
        for (mount, kind) in [
            ("/merged/proc rw - fuse.sshfs", Some("fuse.sshfs")),
            ("/merged/proc/meminfo rw - fuse", Some("fuse")),
            ("/merged/proc rw - fuse.plimsoll", Some("fuse.plimsoll")),
            ("/merged/proc/meminfo rw - fuse.plimsoll", None),
            ("/merged rw - fuse.fuse-overlayfs", None),
            ("/merged/process rw - fuse", None),
            ("/ rw - fuse", None),
            ("/merged/proc rw - proc", None),
        ] {
            assert_eq!(in_the_way(mount).as_deref(), kind, "{mount}");
        }
    }
}
