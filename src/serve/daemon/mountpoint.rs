//! The directory on which a daemon serves.

use crate::base::{mountinfo, paths};
use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, umount2};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Returns the path of the mount point as the kernel shows it. Does not touch the mount point
/// itself: a dead file system may be mounted there, which answers nothing.
pub(super) fn resolve(mountpoint: &Path) -> Result<PathBuf> {
    if let Ok(path) = fs::canonicalize(mountpoint) {
        return Ok(path);
    }
    let path = std::path::absolute(mountpoint)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        bail!("cannot serve {}: not a directory's name", path.display());
    };
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let parent =
        fs::canonicalize(parent).with_context(|| format!("cannot find {}", parent.display()))?;
    Ok(parent.join(name))
}

/// Unmounts what a dead daemon left on the mount point, and makes the directory if it does not
/// exist. The caller holds the [lock](super::lock).
pub(super) fn clear(mountpoint: &Path) -> Result<()> {
    while let Some(kind) = top_fs_type(mountpoint)? {
        if kind != paths::FS_TYPE {
            bail!(
                "a file system of type {kind} is mounted there: unmount it, or choose another mount point"
            );
        }
        // This process holds the lock, so no other daemon serves the mount.
        tracing::warn!(mountpoint = %mountpoint.display(), "taking over from a daemon that died");
        umount2(mountpoint, MntFlags::MNT_DETACH)
            .context("cannot unmount the file system of a dead daemon")?;
    }
    fs::create_dir_all(mountpoint).context("cannot make the mount point")
}

/// Returns the type of the file system that was mounted last on `point`, if there is one.
pub(super) fn top_fs_type(point: &Path) -> Result<Option<String>> {
    let mounts = mountinfo::own().context("cannot read /proc/self/mountinfo")?;
    let point: PathBuf = point.components().collect();
    let mut mounts = mounts.into_iter().filter(|mount| mount.point == point);
    Ok(mounts.next_back().map(|mount| mount.kind))
}
