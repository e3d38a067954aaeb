//! The files of a container over which Plimsoll mounts its own, and the mounting itself.
//!
//! The container may hold anything: a look-up follows no symbolic link, the file must lie in the
//! kernel's own file system, and a mount there must appear in no other place. No function here asks a
//! file system of the container anything, except in a race with a mount of the container.

use super::{Below, Bind, hosts_files::HostsFiles, leave_out::HostParts};
use crate::base::{
    mountinfo::Mount,
    paths::{FS_TYPE, UNCOVERED_SOURCE},
    sys::mount,
};
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
    sync::Arc,
};

/// The maximum number of Plimsoll's mounts that one call removes at one path.
const MAX_LAYERS: usize = 8;

/// An error that makes a path in a container no target.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    /// The kernel refuses to open the file.
    #[error("cannot open {} in the container", path.display())]
    Refused {
        /// The path of the file in the container.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The file is not the kernel's.
    #[error("{} in the container is not the kernel's own file: it lies in a file system of type {kind}", path.display())]
    Foreign {
        /// The path of the file in the container.
        path: PathBuf,
        /// The type of its file system.
        kind: String,
    },
    /// The container has changed its mounts since they were read.
    #[error("the container moves what is mounted at {}", path.display())]
    Moving {
        /// The path of the file in the container.
        path: PathBuf,
    },
    /// A mount on the file would also appear outside of the container.
    #[error("{} in the container lies in a mount that it shares with others", path.display())]
    Shared {
        /// The path of the file in the container.
        path: PathBuf,
    },
    /// The kernel refuses to remove a mount of Plimsoll.
    #[error("cannot uncover {}: {}", path.display(), errno.desc())]
    Kept {
        /// The path of the file in the container.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A mount of the container hides Plimsoll's.
    #[error("a mount of the container covers our file at {}", path.display())]
    Covered {
        /// The path of the file in the container.
        path: PathBuf,
    },
}

/// The root directory of a container, and the mounts that can be found there.
#[derive(Debug)]
pub(super) struct ContainerRoot {
    /// The directory.
    pub(super) directory: OwnedFd,
    /// The path of the directory in the mount points of `mounts`.
    pub(super) path: PathBuf,
    /// The mounts of the container's mount namespace.
    pub(super) mounts: Vec<Mount>,
    /// The peer groups that have a member outside of the container.
    pub(super) shared: Arc<BTreeSet<u32>>,
    /// The paths, as the container names them, that the runtime may still cover before the container
    /// starts; `/` where nobody knows.
    pub(super) later: Vec<PathBuf>,
    /// The parts of the container that are the host's own, over which nothing is mounted.
    pub(super) host_parts: HostParts,
}

/// A file or directory of a container, held open with the mount that it lies in.
#[derive(Debug)]
pub(super) struct MountTarget<'a> {
    /// The file or directory.
    pub(super) file: OwnedFd,
    /// The mount that the file lies in.
    pub(super) mount: &'a Mount,
}

impl ContainerRoot {
    /// Finds the file that `bind` covers: the kernel's file, or Plimsoll's mount on it. `None` if the
    /// container has no such file, or the file is one of the host's that the container keeps.
    pub(super) fn target(&self, bind: Bind) -> Result<Option<MountTarget<'_>>, TargetError> {
        let path = Path::new(bind.path);
        if self.host_parts.has(path) {
            return Ok(None);
        }
        let Some(target) = self.find(path)? else {
            return Ok(None);
        };
        let kernels = match bind.below {
            Below::Proc => "proc",
            Below::Sys => "sysfs",
        };
        if target.mount.kind != kernels && target.mount.kind != FS_TYPE {
            return Err(TargetError::Foreign {
                path: shown(path),
                kind: target.mount.kind.clone(),
            });
        }
        self.must_be_alone(target, path).map(Some)
    }

    /// Finds the top of `mount`, which is one of [`mounts`](Self::mounts), to put another one there.
    pub(super) fn top_of(&self, mount: &Mount) -> Result<MountTarget<'_>, TargetError> {
        let path = self.below(mount);
        let target = self.find(path)?;
        let target = target.filter(|target| target.mount.id == mount.id);
        target.ok_or_else(|| TargetError::Covered { path: shown(path) })
    }

    /// Refuses a target in a mount with peers outside of the container.
    pub(super) fn must_be_alone<'a>(
        &self,
        target: MountTarget<'a>,
        path: &Path,
    ) -> Result<MountTarget<'a>, TargetError> {
        match target.mount.peers {
            Some(group) if self.shared.contains(&group) => {
                Err(TargetError::Shared { path: shown(path) })
            }
            _ => Ok(target),
        }
    }

    /// Finds the file at `path`, which is relative to the root; `None` if there is none.
    pub(super) fn find(&self, path: &Path) -> Result<Option<MountTarget<'_>>, TargetError> {
        if let Some(kind) = self.in_the_way(&self.path.join(path)) {
            return Err(TargetError::Foreign {
                path: shown(path),
                kind: kind.to_owned(),
            });
        }
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let file = match openat2(&self.directory, path, how) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(source) => {
                return Err(TargetError::Refused {
                    path: shown(path),
                    source: source.into(),
                });
            }
        };
        match mount_of(&file, &self.mounts) {
            Some(mount) => Ok(Some(MountTarget { file, mount })),
            None => Err(TargetError::Moving { path: shown(path) }),
        }
    }

    /// Returns the mount point of a mount relative to the root.
    pub(super) fn below<'a>(&self, mount: &'a Mount) -> &'a Path {
        mount.point.strip_prefix(&self.path).unwrap_or(&mount.point)
    }

    /// Removes the mounts at `path` that `is_ours` accepts, from the top down to the first mount that
    /// `is_ours` rejects, at most [`MAX_LAYERS`]. Returns the number of removed mounts, at least 1.
    ///
    /// A container with a user namespace of its own may not lose a mount that it was given, but may
    /// get another one on top: `hosts` hides such a mount.
    pub(super) fn uncover(
        &self,
        path: &Path,
        is_ours: impl Fn(&Mount) -> bool,
        hosts: Option<&HostsFiles>,
        fds: &FdDirectory,
    ) -> Result<usize, TargetError> {
        let kept = |errno| TargetError::Kept {
            path: shown(path),
            errno,
        };
        for taken in 0..MAX_LAYERS {
            let target = match self.find(path) {
                Ok(Some(target)) if is_ours(target.mount) => target,
                Err(error) if taken == 0 => return Err(error),
                Ok(_) if taken == 0 => return Err(TargetError::Covered { path: shown(path) }),
                // Mounts that are not Plimsoll's stay.
                Ok(_) | Err(_) => return Ok(taken),
            };
            match (target.uncover(fds), hosts) {
                (Ok(()), _) => {}
                (Err(Errno::EINVAL | Errno::EPERM), Some(hosts)) => {
                    let hidden = target.cover(hosts.top()).and_then(|()| hosts.fill());
                    return hidden.map(|()| taken + 1).map_err(kept);
                }
                (Err(error), _) => return Err(kept(error)),
            }
        }
        Ok(MAX_LAYERS)
    }

    /// Returns the type of a file system on the way to `path` whose daemon a look-up would ask. The
    /// file system of the root itself does not count: the runtime has asked its daemon too.
    fn in_the_way(&self, path: &Path) -> Option<&str> {
        // Plimsoll mounts at the path itself, so a mount of this type above the path is not of
        // Plimsoll.
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

/// Returns whether Plimsoll made a mount: a file of a view, or the tmpfs below one. A mount that a
/// container made to look so counts too.
pub(super) fn is_ours(mount: &Mount) -> bool {
    mount.kind == FS_TYPE || (mount.kind == "tmpfs" && mount.source == UNCOVERED_SOURCE)
}

/// Returns a path relative to a container's root as the container names it.
fn shown(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}

impl MountTarget<'_> {
    /// Mounts a tree on the file, and nowhere else. If the container has moved the file to a shared
    /// mount since the look-up, so that the tree would appear there too, the kernel refuses.
    pub(super) fn cover(&self, tree: BorrowedFd<'_>) -> nix::Result<()> {
        self.put(tree, mount::attach)
    }

    /// Mounts a tree beneath the mount whose top the file is, and removes that mount. The kernel's
    /// own file is never visible.
    ///
    /// Before Linux 6.5, and where the kernel refuses to remove the old mount from the container, the
    /// old mount stays below the new one.
    pub(super) fn replace(&self, tree: BorrowedFd<'_>, fds: &FdDirectory) -> nix::Result<()> {
        match self.put(tree, mount::attach_beneath) {
            Ok(()) => self.uncover(fds),
            Err(_) => self.cover(tree),
        }
    }

    /// Removes the mount whose top the file is, even if another mount now lies at the path.
    fn uncover(&self, fds: &FdDirectory) -> nix::Result<()> {
        fchdir(&fds.0)?;
        let name = self.file.as_raw_fd().to_string();
        umount2(name.as_str(), MntFlags::MNT_DETACH)
    }

    fn put(
        &self,
        tree: BorrowedFd<'_>,
        put: fn(BorrowedFd<'_>, BorrowedFd<'_>) -> nix::Result<()>,
    ) -> nix::Result<()> {
        if self.mount.peers.is_some() {
            // The look-up has found all peers of this mount in the container.
            return put(tree, self.file.as_fd());
        }
        mount::make_unbindable(tree)?;
        put(tree, self.file.as_fd())?;
        mount::make_private(tree)
    }
}

/// The directory of this process's open files, each by its number, wherever the process's root is.
#[derive(Debug)]
pub(super) struct FdDirectory(OwnedFd);

impl FdDirectory {
    /// Opens the directory of this process, whose root must still be its own.
    pub(super) fn open() -> io::Result<FdDirectory> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(FdDirectory(open("/proc/self/fd", flags, Mode::empty())?))
    }
}

/// Returns the path of an open file or directory as the kernel names it.
pub(super) fn name(file: impl AsFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

/// Returns the mount that an open file lies in, if it is among `mounts`. The kernel answers, not the
/// file system.
pub(super) fn mount_of(file: impl AsFd, mounts: &[Mount]) -> Option<&Mount> {
    let number = mount::number(file.as_fd()).ok()?;
    mounts.iter().find(|mount| u64::from(mount.id) == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;

    /// Returns the type of the file system in the way to /proc/meminfo of a container with that
    /// mount.
    fn in_the_way(mount: &str) -> Option<String> {
        let root = ContainerRoot {
            directory: open("/", OFlag::O_PATH, Mode::empty()).unwrap(),
            path: "/merged".into(),
            mounts: mountinfo::parse(&format!("31 24 0:27 / {mount} x rw\n")).collect(),
            shared: Arc::default(),
            later: Vec::new(),
            host_parts: HostParts::default(),
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

    /// The root of this machine, with its mounts.
    fn own_root() -> ContainerRoot {
        ContainerRoot {
            directory: open("/", OFlag::O_PATH, Mode::empty()).unwrap(),
            path: "/".into(),
            mounts: mountinfo::own().unwrap(),
            shared: Arc::default(),
            later: Vec::new(),
            host_parts: HostParts::default(),
        }
    }

    const MEMINFO: Bind = Bind {
        path: "proc/meminfo",
        below: Below::Proc,
        is_written: false,
    };

    #[test]
    fn a_look_up_follows_no_symbolic_link() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("real")).unwrap();
        fs::write(directory.path().join("real/file"), "").unwrap();
        std::os::unix::fs::symlink("real", directory.path().join("link")).unwrap();
        let root = ContainerRoot {
            directory: open(directory.path(), OFlag::O_PATH, Mode::empty()).unwrap(),
            ..own_root()
        };
        assert!(matches!(root.find(Path::new("real/file")), Ok(Some(_))));
        let refused = root.find(Path::new("link/file")).unwrap_err();
        assert!(
            matches!(&refused, TargetError::Refused { source, .. } if source.raw_os_error() == Some(nix::libc::ELOOP)),
            "{refused}"
        );
    }

    #[test]
    fn a_file_in_a_mount_with_peers_outside_of_the_container_is_refused() {
        let mut root = own_root();
        for mount in &mut root.mounts {
            mount.peers = Some(7);
        }
        assert!(matches!(root.target(MEMINFO), Ok(Some(_))));
        root.shared = Arc::new(BTreeSet::from([7]));
        let refused = root.target(MEMINFO).unwrap_err();
        assert!(matches!(refused, TargetError::Shared { .. }), "{refused}");
    }

    #[test]
    fn a_mount_is_known_by_its_number_and_not_by_its_place() {
        let root = own_root();
        let mount = root.target(MEMINFO).unwrap().unwrap().mount;
        assert!(root.top_of(mount).is_ok());
        let mut hidden = mount.clone();
        hidden.id += 1_000_000;
        let refused = root.top_of(&hidden).unwrap_err();
        assert!(matches!(refused, TargetError::Covered { .. }), "{refused}");
    }
}
