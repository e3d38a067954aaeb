//! The mount points of one `plimsoll run`, on a tmpfs in its private mount namespace.

use std::{env, fs, path::PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::run::{
    error::{RunError, at},
    root::dirs::ContainerDir,
};

/// The tmpfs with the mount points of this process. A drop unmounts it.
#[derive(Debug)]
pub(crate) struct Mountpoints {
    path: PathBuf,
}

impl Mountpoints {
    /// Mounts the tmpfs in a container's directory and makes it the working directory: the mount
    /// options of an overlay must fit one memory page, so the layers need short relative names.
    ///
    /// # Errors
    ///
    /// A tmpfs that cannot be mounted or entered.
    pub(crate) fn mount(dir: &ContainerDir) -> Result<Mountpoints, RunError> {
        let path = dir.create_dir("mnt")?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("plimsoll"),
            &path,
            Some("tmpfs"),
            flags,
            Some("mode=700"),
        )
        .map_err(at("mount a tmpfs on", &path))?;
        let mountpoints = Mountpoints { path };
        env::set_current_dir(&mountpoints.path).map_err(at("enter", &mountpoints.path))?;
        Ok(mountpoints)
    }

    /// Creates an empty directory as a mount point, and returns its absolute path.
    ///
    /// # Errors
    ///
    /// A directory that cannot be created.
    pub(crate) fn create(&self, name: &str) -> Result<PathBuf, RunError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(at("create", &path))?;
        Ok(path)
    }
}

impl Drop for Mountpoints {
    fn drop(&mut self) {
        let _ = env::set_current_dir("/");
        if let Err(error) = umount2(&self.path, MntFlags::MNT_DETACH) {
            tracing::warn!(path = %self.path.display(), %error, "cannot unmount the mount points");
        }
    }
}
