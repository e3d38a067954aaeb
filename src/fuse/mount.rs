//! The mount: made by hand, so that its file system type says whose it is.

use crate::mounts::KIND;
use nix::{
    fcntl::{OFlag, open},
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::Mode,
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Why there is no mount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The kernel offers no FUSE.
    #[error("cannot open /dev/fuse (load it with: modprobe fuse)")]
    NoDevice(#[source] nix::Error),
    /// The kernel refuses.
    #[error("cannot mount on {}", point.display())]
    Refused {
        /// Where.
        point: PathBuf,
        /// The kernel's answer.
        source: nix::Error,
    },
}

/// A mount of ours, which is taken away when this is dropped.
#[derive(Debug)]
pub(super) struct Mounted {
    point: PathBuf,
}

impl Mounted {
    /// Mounts on the directory `point`, readable for everyone, and returns the device that requests
    /// come from.
    ///
    /// The mount is not read-only, for triggers are written to the pressure files; any other write
    /// is refused file by file.
    ///
    /// # Errors
    /// Without `/dev/fuse` or `CAP_SYS_ADMIN`, or when `point` is no directory.
    pub(super) fn new(point: &Path) -> Result<(Mounted, OwnedFd), MountError> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let device = open("/dev/fuse", flags, Mode::empty()).map_err(MountError::NoDevice)?;
        let options = format!(
            "fd={},rootmode=40555,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        mount(
            Some("plimsoll"),
            point,
            Some(KIND),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
            Some(options.as_str()),
        )
        .map_err(|source| MountError::Refused {
            point: point.to_owned(),
            source,
        })?;
        Ok((Mounted::resumed(point), device))
    }

    /// A mount that is there already, left by a process before this one.
    pub(super) fn resumed(point: &Path) -> Mounted {
        let point = point.to_owned();
        Mounted { point }
    }

    /// Leaves it for a process after this one.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Detached, because a reader may hold a file of it open.
        if let Err(error) = umount2(&self.point, MntFlags::MNT_DETACH) {
            tracing::warn!(point = %self.point.display(), %error, "cannot unmount");
        }
    }
}
