//! The mount points of one `plimsoll run`, on a tmpfs that only its mount namespace has.

use std::{env, fs, path::PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::run::{
    error::{RunError, at},
    root::dirs::Place,
};

/// The mount points of this process, unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Scaffold {
    path: PathBuf,
}

impl Scaffold {
    /// Raises it in a container's place, and makes it the working directory: the options of an
    /// overlay must fit one page, so its layers have short relative names.
    ///
    /// # Errors
    ///
    /// When it cannot be mounted.
    pub(crate) fn raise(place: &Place) -> Result<Scaffold, RunError> {
        let path = place.directory("mnt")?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("plimsoll"),
            &path,
            Some("tmpfs"),
            flags,
            Some("mode=700"),
        )
        .map_err(at("mount a tmpfs on", &path))?;
        let scaffold = Scaffold { path };
        env::set_current_dir(&scaffold.path).map_err(at("enter", &scaffold.path))?;
        Ok(scaffold)
    }

    /// Makes an empty directory to mount upon.
    pub(crate) fn point(&self, name: &str) -> Result<PathBuf, RunError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(at("make", &path))?;
        Ok(path)
    }
}

impl Drop for Scaffold {
    fn drop(&mut self) {
        let _ = env::set_current_dir("/");
        if let Err(error) = umount2(&self.path, MntFlags::MNT_DETACH) {
            tracing::warn!(path = %self.path.display(), %error, "cannot unmount");
        }
    }
}
