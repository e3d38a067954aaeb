//! The directory on which a daemon serves.

use crate::base::{
    mountinfo::{self, Mount},
    output::escaped,
    paths,
};
use anyhow::{Context, Result, bail};
use nix::{
    mount::{MntFlags, umount2},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// The names of the directories of a view.
const VIEW_NAMES: [&str; 3] = ["proc", "sys", paths::CONTAINERS];

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
///
/// # Errors
/// When another file system is mounted there, or the directory is in a view or holds files, which a mount would hide.
pub(super) fn clear(mountpoint: &Path) -> Result<()> {
    if let Some(view) = view_around(mountpoint)? {
        bail!(
            "the directory is in the view at {}: choose one outside of a view",
            view.display()
        );
    }
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
    fs::create_dir_all(mountpoint).context("cannot make the mount point")?;
    match foreign_entry(mountpoint).context("cannot read the mount point")? {
        Some(name) => bail!(
            "the directory holds files, such as {}: choose an empty one as the mount point",
            escaped(&name)
        ),
        None => Ok(()),
    }
}

/// Returns the mount point of a view that the directory is in.
fn view_around(directory: &Path) -> Result<Option<PathBuf>> {
    let mounts =
        mountinfo::own_of_kind(paths::FS_TYPE).context("cannot read /proc/self/mountinfo")?;
    let is_around = |mount: &Mount| mount.point != directory && directory.starts_with(&mount.point);
    Ok(mounts.into_iter().find(is_around).map(|mount| mount.point))
}

/// Returns the name of a file in the directory that is not in a view. Docker makes the source of a bind
/// mount that is missing, so a directory may hold directories with the names of the view.
fn foreign_entry(directory: &Path) -> io::Result<Option<OsString>> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if !VIEW_NAMES.iter().any(|known| name == **known) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Returns whether the view is mounted at each of its mount points, perhaps below another mount.
///
/// # Errors
/// When the mounts of this process cannot be listed.
pub(super) fn is_view_at(points: &[PathBuf]) -> io::Result<bool> {
    let mounts = mountinfo::own()?;
    let is_view =
        |mount: &Mount, point: &PathBuf| mount.kind == paths::FS_TYPE && mount.point == *point;
    let is_view_at = |point| mounts.iter().any(|mount| is_view(mount, point));
    Ok(points.iter().all(is_view_at))
}

/// A watch over the mounts of the view.
#[derive(Debug)]
pub(super) struct MountWatch {
    mountinfo: File,
    points: Vec<PathBuf>,
}

impl MountWatch {
    /// Begins to watch the mount points of the view.
    ///
    /// # Errors
    /// The errors of `open(2)`.
    pub(super) fn new(points: Vec<PathBuf>) -> io::Result<MountWatch> {
        let mountinfo = File::open("/proc/self/mountinfo")?;
        Ok(MountWatch { mountinfo, points })
    }

    /// Returns whether the view is no longer mounted. Reads the mounts, of which there may be
    /// thousands, only if one has changed since the last call.
    pub(super) fn is_view_gone(&self) -> bool {
        // mounts_poll in fs/proc_namespace.c reports each change once.
        let mut fds = [PollFd::new(self.mountinfo.as_fd(), PollFlags::POLLPRI)];
        let has_changed = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        has_changed && is_view_at(&self.points).is_ok_and(|is_mounted| !is_mounted)
    }
}

/// Returns the type of the file system that was mounted last on `point`, if there is one.
pub(super) fn top_fs_type(point: &Path) -> Result<Option<String>> {
    let mounts = mountinfo::own().context("cannot read /proc/self/mountinfo")?;
    let point: PathBuf = point.components().collect();
    let mut mounts = mounts.into_iter().filter(|mount| mount.point == point);
    Ok(mounts.next_back().map(|mount| mount.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_files_is_no_mount_point() {
        let place = tempfile::tempdir().unwrap();
        clear(&place.path().join("new/view")).unwrap();
        let view = place.path().join("view");
        fs::create_dir_all(view.join("proc/meminfo")).unwrap();
        clear(&view).unwrap();
        fs::write(view.join("passwd"), "").unwrap();
        let said = format!("{:#}", clear(&view).unwrap_err());
        assert_eq!(
            said,
            "the directory holds files, such as passwd: choose an empty one as the mount point"
        );
    }
}
