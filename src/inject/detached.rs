//! Detached copies of files and directories, and the mounts within such a copy.

use crate::base::sys::mount::{self, Depth, Forbid};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Returns a copy of an open file or directory as a detached mount with these restrictions, without
/// the mounts below it and without peers.
pub(super) fn copy(file: impl AsFd, forbid: Forbid) -> nix::Result<OwnedFd> {
    let tree = mount::clone_tree(file.as_fd(), Depth::Alone)?;
    mount::make_private(tree.as_fd())?;
    if forbid != Forbid::default() {
        mount::forbid(tree.as_fd(), forbid, Depth::Alone)?;
    }
    Ok(tree)
}

/// Mounts a tree on the file at `path` in `outer`, a tree of Plimsoll that is mounted already and
/// whose daemon, if it has one, answers.
pub(super) fn cover_within(
    outer: BorrowedFd<'_>,
    path: &Path,
    tree: BorrowedFd<'_>,
) -> nix::Result<()> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_XDEV,
        );
    mount::attach(tree, openat2(outer, path, how)?.as_fd())
}
