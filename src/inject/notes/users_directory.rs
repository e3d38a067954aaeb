//! The tmpfs for the notes of users.

use crate::base::{
    mountinfo,
    paths::{USERS_PENDING_NOTES, USERS_PENDING_SOURCE},
    sys::mount::{attach, new_tmpfs},
};
use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};
use std::{io, os::fd::AsFd, path::Path};

/// The options of the tmpfs: every user may write a note, and only root may list the notes.
const OPTIONS: [(&str, &str); 3] = [("mode", "1733"), ("size", "1m"), ("nr_inodes", "1k")];

/// Mounts the tmpfs, unless it is mounted. The tmpfs outlives the daemon, for hooks that find none.
pub(super) fn mount() -> io::Result<()> {
    let point = Path::new(USERS_PENDING_NOTES);
    let mounts = mountinfo::own()?;
    let mut there = mounts.iter().filter(|mount| mount.point == point);
    if there.any(|mount| mount.source == USERS_PENDING_SOURCE) {
        return Ok(());
    }
    let tmpfs = new_tmpfs(USERS_PENDING_SOURCE, &OPTIONS)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place = open(point, flags, Mode::empty())?;
    Ok(attach(tmpfs.as_fd(), place.as_fd())?)
}
