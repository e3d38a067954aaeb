//! Why a container could not be run.

use std::{io, path::PathBuf};

use crate::{base::units::Bytes, run::options::user::UserError};

/// Why a container could not be run; nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not root.
    #[error("a container needs root: run it with sudo")]
    NotRoot,
    /// Root without the power to mount.
    #[error(
        "a container needs the capability CAP_SYS_ADMIN, which this process does not have (it runs in a container itself?)"
    )]
    NotAbleToMount,
    /// FUSE is not there.
    #[error("/dev/fuse is needed to show the container its own machine: modprobe fuse")]
    NoFuse(#[source] io::Error),
    /// A volume's source is missing.
    #[error("the volume's source {0} does not exist")]
    NoVolume(PathBuf),
    /// A root or layer is missing.
    #[error("the root {0} does not exist")]
    NoRoot(PathBuf),
    /// A root or layer is a file.
    #[error("the root {0} is not a directory")]
    RootIsFile(PathBuf),
    /// Overlay takes a layer or the place of changes not.
    #[error(
        "overlay refuses {layers} as layers (the kernel's log says why; nested layers, NFS with changes, and file systems with case folding cannot be)"
    )]
    Overlay {
        /// The layers, lowest first.
        layers: String,
        /// Why.
        source: io::Error,
    },
    /// Another container has the name.
    #[error("the name {0} is in use by a running container")]
    NameInUse(String),
    /// Kept changes have the name.
    #[error(
        "{0} holds what an earlier container of this name kept: remove it, or take another --name"
    )]
    KeptBefore(PathBuf),
    /// `-t -i` without a terminal.
    #[error("--tty with --interactive needs a terminal on standard input: leave out one of them")]
    NoTerminal,
    /// There is no cgroup file system.
    #[error("no cgroup file system is mounted: mount -t cgroup2 none /sys/fs/cgroup")]
    NoCgroups,
    /// A limit needs a controller that is not there.
    #[error("{option} needs the cgroup controller \"{controller}\", which is not available: {fix}")]
    NoController {
        /// The option that needs it.
        option: &'static str,
        /// The controller.
        controller: &'static str,
        /// How to enable it.
        fix: String,
    },
    /// The kernel does not limit swap.
    #[error("--memory-swap needs a kernel that counts swap: boot it with swapaccount=1")]
    NoSwapLimit,
    /// The limit cannot hold what starting takes.
    #[error("--memory {0} is too little for this program to start")]
    TooLittleMemory(Bytes),
    /// The user is unknown.
    #[error(transparent)]
    User(#[from] UserError),
    /// The embedded daemon did not start.
    #[error("the daemon that shows the container its own machine did not start: {0}")]
    Daemon(String),
    /// A step on a file failed.
    #[error("cannot {act} {path}")]
    Path {
        /// What was to be done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A step of the kernel failed.
    #[error("cannot {act}")]
    Step {
        /// What was to be done.
        act: &'static str,
        /// Why.
        source: io::Error,
    },
    /// libcontainer failed.
    #[error("cannot create the container: {0}")]
    Create(String),
}

/// Says what was being done when a call on a path failed.
pub(crate) fn at<E: Into<io::Error>>(
    act: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(E) -> RunError {
    move |source| RunError::Path {
        act,
        path: path.into(),
        source: source.into(),
    }
}

/// Says what was being done when a call without a path failed.
pub(crate) fn step(act: &'static str) -> impl FnOnce(nix::Error) -> RunError {
    move |source| RunError::Step {
        act,
        source: source.into(),
    }
}
