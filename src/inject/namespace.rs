//! The mount namespace of a container, seen from outside, and the way into it.

use super::{
    leave_out::HostParts,
    own_mounts::OwnMounts,
    target::{self, ContainerRoot, FdDirectory},
};
use crate::base::{
    mountinfo::{self, Mount},
    sys::pidfd,
    units::Pid,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns, unshare},
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
    sync::Arc,
};

/// The maximum number of look-ups of a path that other processes change during the look-up.
const MAX_TRIES: usize = 16;

/// An error that keeps this process out of a container.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnterError {
    #[error("process {0} has ended")]
    Ended(Pid),
    #[error("process {0} has the host's mounts and no others")]
    Host(Pid),
    #[error("cannot open {}", path.display())]
    Refused { path: PathBuf, source: io::Error },
    #[error("process {pid} has the mounts of another container: its root is not {}", root.display())]
    Another { pid: Pid, root: PathBuf },
    #[error("the mounts of process {pid} cannot be changed")]
    Locked { pid: Pid, source: io::Error },
}

/// A process whose pid the kernel gives to no other process as long as the process is alive.
#[derive(Debug)]
pub struct HeldProcess {
    /// The pid.
    pub pid: Pid,
    pidfd: OwnedFd,
}

impl HeldProcess {
    /// Holds the process `pid`; `None` if there is none.
    #[must_use]
    pub fn of(pid: Pid) -> Option<HeldProcess> {
        let number = i32::try_from(pid.0).ok()?;
        let pidfd = pidfd::of_process(unistd::Pid::from_raw(number)).ok()?;
        Some(HeldProcess { pid, pidfd })
    }

    /// Returns whether the process is alive. All that was opened by its pid before is its own then.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }
}

/// A mount namespace, seen from outside through one of its processes.
#[derive(Debug)]
pub(super) struct MountNamespace {
    /// The root of the process, and the mounts there.
    pub(super) root: ContainerRoot,
    /// The open files of this process, which keep their names when this process enters.
    pub(super) fds: FdDirectory,
    /// The mounts of this process.
    pub(super) here: Arc<OwnMounts>,
    /// The inode number of the namespace.
    pub(super) inode: u64,
    process: HeldProcess,
    file: File,
}

/// Returns true while a runtime creates the container of the process `pid`: the root of the process
/// is still the host's.
#[must_use]
pub(super) fn is_being_made(pid: Pid) -> bool {
    is_root_of(Path::new("/"), pid)
}

fn is_root_of(directory: &Path, pid: Pid) -> bool {
    let number = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let root = number(Path::new(&format!("/proc/{pid}/root")));
    root.is_some() && root == number(directory)
}

/// Returns whether that process has a mount namespace which is not this process's. A process that may
/// not be looked at counts as one in this process's: a hook that runs outside of the container is
/// root there.
pub(super) fn is_elsewhere(pid: Pid) -> bool {
    let namespaces = inode_of(&pid.to_string()).zip(inode_of("self"));
    namespaces.is_some_and(|(theirs, own)| theirs != own)
}

/// Returns the inode number of the mount namespace of a process, which is a pid or `self`; `None` if
/// the process has ended or may not be looked at.
pub(super) fn inode_of(process: &str) -> Option<u64> {
    namespace_of(process, "mnt")
}

/// Returns the inode number of a namespace of a process, by the name of the namespace below
/// `/proc/PID/ns`. The process and `None` are as for [`inode_of`].
pub(super) fn namespace_of(process: &str, name: &str) -> Option<u64> {
    let metadata = fs::metadata(format!("/proc/{process}/ns/{name}"));
    metadata.ok().map(|metadata| metadata.ino())
}

/// Lists the processes of the machine, in no order. A process may have ended since. An item is an
/// error when the list cannot be read on.
///
/// # Errors
/// The errors of `open(2)` on `/proc`.
pub(super) fn processes() -> io::Result<impl Iterator<Item = io::Result<Pid>>> {
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(move |entry| entry.map(pid).transpose()))
}

fn refused(path: &str) -> impl FnOnce(io::Error) -> EnterError {
    let path = PathBuf::from(path);
    move |source| EnterError::Refused { path, source }
}

impl MountNamespace {
    /// Looks at the namespace of the container that runs around process `pid`; `here` are the mounts
    /// of this process.
    pub(super) fn of_container(
        here: Arc<OwnMounts>,
        pid: Pid,
    ) -> Result<MountNamespace, EnterError> {
        let mut namespace = MountNamespace::seen_from(here, pid)?.must_be_container()?;
        if namespace.runs_own_program() {
            namespace.root.later.clear();
        }
        Ok(namespace)
    }

    /// Looks at the namespace of a container that a runtime makes around process `pid`; `root` is the
    /// directory that becomes its root, or is its root already, and `later` are the paths that the
    /// runtime still covers.
    pub(super) fn of_new_container(
        pid: Pid,
        root: &Path,
        later: &[PathBuf],
    ) -> Result<MountNamespace, EnterError> {
        let here = OwnMounts::read().map_err(refused("/proc/self/mountinfo"))?;
        let namespace = MountNamespace::seen_from(Arc::new(here), pid)?;
        let mut namespace = namespace.must_be_container()?;
        if is_being_made(pid) {
            let ContainerRoot {
                directory, mounts, ..
            } = namespace.root;
            let found = root_within(&directory, root, mounts, &namespace.here);
            namespace.root =
                found.map_err(|error| refused(&root.to_string_lossy())(error.into()))?;
        } else if !is_root_of(root, pid) {
            return Err(EnterError::Another {
                pid,
                root: root.to_owned(),
            });
        }
        namespace.root.later = later.to_vec();
        // A runtime may change the root before it mounts anything.
        namespace.must_live()
    }

    /// Looks at the namespace of any process, the host's too; `here` are the mounts of this process.
    pub(super) fn seen_from(here: Arc<OwnMounts>, pid: Pid) -> Result<MountNamespace, EnterError> {
        let process = HeldProcess::of(pid).ok_or(EnterError::Ended(pid))?;
        let path = format!("/proc/{pid}/ns/mnt");
        let file = File::open(&path).map_err(refused(&path))?;
        let inode = file.metadata().map_err(refused(&path))?.ino();
        let path = format!("/proc/{pid}/root");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(path.as_str(), flags, Mode::empty());
        let directory = directory.map_err(|error| refused(&path)(error.into()))?;
        let path = format!("/proc/{pid}/mountinfo");
        let mounts = mountinfo::of(pid).map_err(refused(&path))?;
        let is_elsewhere = inode_of("self") != Some(inode);
        let namespace = MountNamespace {
            root: ContainerRoot {
                directory,
                path: PathBuf::from("/"),
                mounts,
                shared: match is_elsewhere {
                    true => Arc::clone(&here.peers),
                    false => Arc::default(),
                },
                later: vec![PathBuf::from("/")],
                host_parts: HostParts::default(),
            },
            fds: FdDirectory::open().map_err(refused("/proc/self/fd"))?,
            here,
            process,
            file,
            inode,
        };
        namespace.must_live()
    }

    fn must_be_container(self) -> Result<MountNamespace, EnterError> {
        // Not every user may look at process 1.
        match ["self", "1"].map(inode_of).contains(&Some(self.inode)) {
            true => Err(EnterError::Host(self.process.pid)),
            false => Ok(self),
        }
    }

    /// Refuses a process that has ended: the kernel may have given its pid to another process, and
    /// then the files that were opened by pid are those of the other process.
    fn must_live(self) -> Result<MountNamespace, EnterError> {
        match self.process.is_alive() {
            true => Ok(self),
            false => Err(EnterError::Ended(self.process.pid)),
        }
    }

    /// Returns whether the process runs a program of the container, and not that of a runtime which
    /// still makes the container.
    fn runs_own_program(&self) -> bool {
        let path = format!("/proc/{}/exe", self.process.pid);
        let program = open(
            path.as_str(),
            OFlag::O_PATH | OFlag::O_CLOEXEC,
            Mode::empty(),
        );
        program.is_ok_and(|program| target::mount_of(&program, &self.root.mounts).is_some())
    }

    /// Makes the namespace and its root those of this thread alone.
    pub(super) fn enter(&self) -> Result<(), EnterError> {
        // A new thread shares its root with the thread that started it, for as long as both live.
        // setns refuses a thread that shares its root (mntns_install in fs/namespace.c).
        let entered = unshare(CloneFlags::CLONE_FS)
            .and_then(|()| setns(&self.file, CloneFlags::CLONE_NEWNS))
            .and_then(|()| fchdir(&self.root.directory))
            .and_then(|()| chroot("."));
        entered.map_err(|error| EnterError::Locked {
            pid: self.process.pid,
            source: error.into(),
        })?;
        match self.process.is_alive() {
            true => Ok(()),
            false => Err(EnterError::Ended(self.process.pid)),
        }
    }
}

/// Opens the root of a container that a runtime makes: the directory `path` below `top`, which is the
/// host's root in the container's mount namespace. ENOENT if no mount stands there: runtimes make the
/// root a mount of its own.
fn root_within(
    top: &OwnedFd,
    path: &Path,
    mounts: Vec<Mount>,
    here: &OwnMounts,
) -> nix::Result<ContainerRoot> {
    let opened = |path: &Path| {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let how = OpenHow::new().flags(flags);
        let how = how.resolve(ResolveFlag::RESOLVE_IN_ROOT);
        // A path with `..` gets EAGAIN if a process mounts or renames anything during the look-up.
        let tries = iter::repeat_with(|| openat2(top, path, how)).take(MAX_TRIES);
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
    // Until the root changes, the namespace also has the host's own mounts.
    let beside = mounts
        .iter()
        .filter(|mount| !mount.point.starts_with(&path));
    let beside = beside.filter_map(|mount| mount.peers);
    let shared = here.peers.iter().copied().chain(beside).collect();
    Ok(ContainerRoot {
        directory,
        path,
        mounts,
        shared: Arc::new(shared),
        later: Vec::new(),
        host_parts: HostParts::default(),
    })
}
