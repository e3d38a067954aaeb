//! The error of a container that cannot be run, and the two ways to make one from a failed call.

use std::{io, path::PathBuf};

use crate::{
    base::{
        paths::{NO_CGROUPS, NO_FUSE},
        units::Bytes,
    },
    run::{options::user::UserError, seccomp::profile::ProfileError},
};

/// The error of a container that cannot be run. Nothing of such a container remains.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The user is not root.
    #[error("a container needs root: run plimsoll with sudo")]
    NotRoot,
    /// Root lacks the capability to mount.
    #[error(
        "a container needs the capability CAP_SYS_ADMIN, which this process lacks (does plimsoll itself run in a container?)"
    )]
    NotAbleToMount,
    /// /dev/fuse cannot be opened.
    #[error("{NO_FUSE}")]
    NoFuse(#[source] io::Error),
    /// The source of a volume is missing.
    #[error("the volume's source {0} does not exist")]
    NoVolume(PathBuf),
    /// A file is to be mounted on a directory, or a directory on a file.
    #[error("the volume {from}:{target}: one of the two is a directory and the other one is not")]
    VolumeKinds {
        /// The path on this machine.
        from: PathBuf,
        /// The path in the container.
        target: PathBuf,
    },
    /// The working directory is not in the container, and cannot be created.
    #[error("--workdir {path}: {wrong}")]
    Workdir {
        /// The path in the container.
        path: PathBuf,
        /// The mistake.
        wrong: String,
    },
    /// The root or a layer is missing.
    #[error("the root {0} does not exist")]
    NoRoot(PathBuf),
    /// The root or a layer is a file.
    #[error("the root {0} is not a directory")]
    RootIsFile(PathBuf),
    /// The kernel refuses to mount an overlay of these layers.
    #[error(
        "overlay refuses {layers} as layers (the kernel log says why; overlay cannot use nested layers, NFS for changes, or a file system with case folding)"
    )]
    Overlay {
        /// The layers, lowest first, with commas between.
        layers: String,
        /// The kernel's answer to the mount.
        source: io::Error,
    },
    /// The name belongs to a running container.
    #[error("the name {0} is in use by a running container")]
    NameInUse(String),
    /// Kept changes have the name.
    #[error(
        "{path} holds the kept changes of an earlier container of this name: run plimsoll kept --remove {name}, or choose another --name"
    )]
    KeptBefore {
        /// The name.
        name: String,
        /// The directory with the changes.
        path: PathBuf,
    },
    /// No changes have the name.
    #[error("no kept changes have the name {0} (plimsoll kept lists them)")]
    NothingKept(String),
    /// `-t -i` without a terminal.
    #[error("--tty with --interactive needs a terminal on standard input: leave out one of them")]
    NoTerminal,
    /// No cgroup file system is mounted.
    #[error("{NO_CGROUPS}")]
    NoCgroups,
    /// A limit needs a controller that is not available.
    #[error("{option} needs the cgroup controller \"{controller}\", which is not available: {fix}")]
    NoController {
        /// The option that sets the limit.
        option: &'static str,
        /// The controller.
        controller: &'static str,
        /// The way to enable the controller.
        fix: String,
    },
    /// The kernel does not limit swap.
    #[error("--memory-swap needs a kernel that counts swap: boot the kernel with swapaccount=1")]
    NoSwapLimit,
    /// The limit of memory is below the need of a start.
    #[error("--memory {0} is too little for this program to start")]
    TooLittleMemory(Bytes),
    /// The kernel refuses to raise a limit.
    #[error("--ulimit {name}: the kernel allows at most {maximum}")]
    Ulimit {
        /// The name of the limit.
        name: &'static str,
        /// The maximum.
        maximum: u64,
    },
    /// The user or group is unknown.
    #[error(transparent)]
    User(#[from] UserError),
    /// The kernel has no filters of system calls.
    #[error(
        "this kernel has no filters of system calls (CONFIG_SECCOMP_FILTER): --security-opt seccomp=unconfined starts the container without one"
    )]
    NoSeccomp,
    /// The seccomp profile has a mistake.
    #[error("--security-opt seccomp={path}")]
    Profile {
        /// The file of the profile.
        path: PathBuf,
        /// The mistake.
        source: ProfileError,
    },
    /// The embedded daemon did not start; with its last message.
    #[error("the daemon that shows the container its own machine did not start: {0}")]
    Daemon(String),
    /// A call on a path failed.
    #[error("cannot {act} {path}")]
    Path {
        /// The act, as a verb with or without an object.
        act: &'static str,
        /// The path.
        path: PathBuf,
        /// The answer to the call.
        source: io::Error,
    },
    /// A call without a path failed.
    #[error("cannot {act}")]
    Step {
        /// The act, as a verb with its object.
        act: &'static str,
        /// The answer to the call.
        source: io::Error,
    },
    /// Process 1 or the hook failed.
    #[error("cannot create the container: {0}")]
    Create(String),
}

/// Returns a function that turns the error of a call on `path` into a [`RunError::Path`].
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

/// Returns a function that turns the error of a call without a path into a [`RunError::Step`].
pub(crate) fn step<E: Into<io::Error>>(act: &'static str) -> impl FnOnce(E) -> RunError {
    move |source| RunError::Step {
        act,
        source: source.into(),
    }
}
