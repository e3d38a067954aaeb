//! Bind mounts between open paths.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

use crate::{
    base::sys::mount::{Depth, Forbid, attach, clone_tree, forbid},
    run::error::{RunError, at},
};

/// The restriction of a mount that may be written.
pub(crate) const NO_DEVICES: Forbid = Forbid {
    writes: false,
    devices: true,
    programs: false,
};

/// The restriction of a read-only mount.
pub(crate) const READ_ONLY: Forbid = Forbid {
    writes: true,
    devices: true,
    programs: false,
};

/// Opens a path, without the right to read or write the object.
///
/// # Errors
///
/// A path that cannot be opened.
pub(crate) fn open_path(path: &Path) -> Result<OwnedFd, RunError> {
    open_with_path_flag(path).map_err(at("open", path))
}

/// Mounts a copy of the mount tree at `source` on `target`.
///
/// # Errors
///
/// A target that cannot be opened, and a mount that the kernel refuses.
pub(crate) fn bind(source: &OwnedFd, target: &Path, depth: Depth) -> Result<(), RunError> {
    let to = open_path(target)?;
    clone_tree(source.as_fd(), depth)
        .and_then(|copy| attach(copy.as_fd(), to.as_fd()))
        .map_err(at("bind a directory on", target))
}

/// Mounts a read-only copy of the one mount at `source` on `target`.
///
/// # Errors
///
/// The kernel's answer to the first refused call.
pub(crate) fn bind_read_only(source: &OwnedFd, target: &Path) -> nix::Result<()> {
    let copy = clone_tree(source.as_fd(), Depth::Alone)?;
    forbid(copy.as_fd(), READ_ONLY, Depth::Alone)?;
    let to = open_with_path_flag(target)?;
    attach(copy.as_fd(), to.as_fd())
}

fn open_with_path_flag(path: &Path) -> nix::Result<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}
