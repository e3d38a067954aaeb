//! A container as it is seen from outside, and the way into its mount namespace.

use super::target::{self, ContainerRoot, FdDirectory};
use crate::base::{
    mountinfo::{self, Mount},
    sys::pidfd,
    units::Pid,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns},
    sys::stat::{Mode, fstat},
    unistd::{self, chroot, fchdir},
};
use std::{
    fs::{self, File},
    io, iter,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

/// How often a path is looked up that others change meanwhile.
const TRIES: usize = 16;

/// Why a container cannot be entered.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnterError {
    #[error("process {0} has ended")]
    Ended(Pid),
    #[error("it has the host's mounts and no others")]
    Host,
    #[error("cannot open {}", path.display())]
    Refused { path: PathBuf, source: io::Error },
    #[error("its root is not {}: it has the mounts of another container", .0.display())]
    Another(PathBuf),
    #[error("its mounts cannot be changed")]
    Locked(#[source] io::Error),
}

/// A container, seen from outside.
#[derive(Debug)]
pub(super) struct MountNamespace {
    /// Its root, and what is mounted there.
    pub(super) root: ContainerRoot,
    /// This process's, as long as the container's root is not its own.
    pub(super) open: FdDirectory,
    /// This process's mounts.
    pub(super) here: Vec<Mount>,
    lifeline: OwnedFd,
    namespace: File,
    pid: Pid,
}

/// Whether the container of that process is still being made: its root is the host's as yet.
#[must_use]
pub fn is_being_made(pid: Pid) -> bool {
    is_root_of(Path::new("/"), pid)
}

/// Whether that directory is the root of that process.
fn is_root_of(directory: &Path, pid: Pid) -> bool {
    let number = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let root = number(Path::new(&format!("/proc/{pid}/root")));
    root.is_some() && root == number(directory)
}

/// Whether that process has a mount namespace which is not this process's. A process that may not
/// be looked at is taken for one beside this: at the stages that run outside the hook is root there.
pub(super) fn is_elsewhere(pid: Pid) -> bool {
    let namespaces = mount_namespace(&pid.to_string()).zip(mount_namespace("self"));
    namespaces.is_some_and(|(theirs, own)| theirs != own)
}

/// The inode number of the mount namespace of a process, its pid or `self`; `None` if it is gone or
/// may not be looked at.
pub(super) fn mount_namespace(process: &str) -> Option<u64> {
    let metadata = fs::metadata(format!("/proc/{process}/ns/mnt"));
    metadata.ok().map(|metadata| metadata.ino())
}

impl MountNamespace {
    /// Looks at the container of that process. `root` is the directory that will be its root, if
    /// it is still being made.
    pub(super) fn look(pid: Pid, root: Option<&Path>) -> Result<MountNamespace, EnterError> {
        let refused = |path: &str, source: io::Error| {
            let path = PathBuf::from(path);
            EnterError::Refused { path, source }
        };
        let number = i32::try_from(pid.0).map_err(|_| EnterError::Ended(pid))?;
        let lifeline =
            pidfd::of_process(unistd::Pid::from_raw(number)).map_err(|_| EnterError::Ended(pid))?;
        let path = format!("/proc/{pid}/ns/mnt");
        let namespace = File::open(&path).map_err(|error| refused(&path, error))?;
        let theirs = namespace.metadata().map(|metadata| metadata.ino());
        let theirs = theirs.map_err(|error| refused(&path, error))?;
        // Of PID 1 not everybody may know.
        if ["self", "1"].map(mount_namespace).contains(&Some(theirs)) {
            return Err(EnterError::Host);
        }
        let path = format!("/proc/{pid}/root");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = open(path.as_str(), flags, Mode::empty());
        let top = top.map_err(|error| refused(&path, error.into()))?;
        let path = format!("/proc/{pid}/mountinfo");
        let mounts = mountinfo::of(pid).map_err(|error| refused(&path, error))?;
        let here = mountinfo::own().map_err(|error| refused("/proc/self/mountinfo", error))?;
        let root = match root {
            Some(root) if is_being_made(pid) => within(&top, root, mounts, &here)
                .map_err(|error| refused(&root.to_string_lossy(), error.into()))?,
            // A runtime may change the root before it mounts anything.
            Some(root) if !is_root_of(root, pid) => {
                return Err(EnterError::Another(root.to_owned()));
            }
            _ => ContainerRoot {
                directory: top,
                path: PathBuf::from("/"),
                mounts,
                shared: peers(&here).collect(),
            },
        };
        let inside = MountNamespace {
            lifeline,
            namespace,
            root,
            open: FdDirectory::of_this().map_err(|error| refused("/proc/self/fd", error))?,
            here,
            pid,
        };
        // If it has ended by now, what was looked at may be another's.
        match inside.lives() {
            true => Ok(inside),
            false => Err(EnterError::Ended(pid)),
        }
    }

    fn lives(&self) -> bool {
        let mut fds = [PollFd::new(self.lifeline.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }

    /// Makes its mounts and its root this process's.
    pub(super) fn enter(&self) -> Result<(), EnterError> {
        let gone = setns(&self.namespace, CloneFlags::CLONE_NEWNS)
            .and_then(|()| fchdir(&self.root.directory))
            .and_then(|()| chroot("."));
        gone.map_err(|error| EnterError::Locked(error.into()))?;
        match self.lives() {
            true => Ok(()),
            false => Err(EnterError::Ended(self.pid)),
        }
    }
}

/// The root of a container that is being made: the directory `path` below `top`, the host's root as
/// it is there. Runtimes make it a mount of its own; ENOENT if it is none.
fn within(
    top: &OwnedFd,
    path: &Path,
    mounts: Vec<Mount>,
    here: &[Mount],
) -> nix::Result<ContainerRoot> {
    let opened = |path: &Path| {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let how = OpenHow::new().flags(flags);
        let how = how.resolve(ResolveFlag::RESOLVE_IN_ROOT);
        // EAGAIN of a path with `..`, if somebody has mounted or renamed something meanwhile.
        let tries = iter::repeat_with(|| openat2(top, path, how)).take(TRIES);
        let mut tries = tries.skip_while(|opened| matches!(opened, Err(Errno::EAGAIN)));
        tries.next().unwrap_or(Err(Errno::EAGAIN))
    };
    let number = |file: &OwnedFd| fstat(file).map(|status| (status.st_dev, status.st_ino));
    let directory = opened(path)?;
    let mount = target::mount_of(&directory, &mounts).ok_or(Errno::ENOENT)?;
    let path = mount.point.clone();
    if number(&opened(&path)?)? != number(&directory)? {
        return Err(Errno::ENOENT);
    }
    // It has the host's own mounts beside as yet.
    let beside = mounts
        .iter()
        .filter(|mount| !mount.point.starts_with(&path));
    let shared = peers(here).chain(peers(beside)).collect();
    Ok(ContainerRoot {
        directory,
        path,
        mounts,
        shared,
    })
}

/// The groups of mounts that these are members of.
fn peers<'a>(mounts: impl IntoIterator<Item = &'a Mount>) -> impl Iterator<Item = u32> {
    mounts.into_iter().filter_map(|mount| mount.peers)
}
