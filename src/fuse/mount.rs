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

/// The two connections to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The whole tree; writable, for triggers are written to the pressure files; any other write
    /// is refused file by file.
    Direct,
    /// What the kernel caches, mounted on a directory of the other; read-only.
    Cached,
}

/// A mount of ours, which is taken away when this is dropped.
#[derive(Debug)]
pub struct Mounted {
    point: PathBuf,
}

impl Mounted {
    /// Mounts on the directory `point`, readable for everyone, and returns the device that requests
    /// come from.
    ///
    /// # Errors
    /// Without `/dev/fuse` or `CAP_SYS_ADMIN`, or when `point` is no directory.
    pub fn new(point: &Path, connection: Connection) -> Result<(Mounted, OwnedFd), MountError> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let device = open("/dev/fuse", flags, Mode::empty()).map_err(MountError::NoDevice)?;
        let options = format!(
            "fd={},rootmode=40555,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        let mut options_of_mount = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if connection == Connection::Cached {
            options_of_mount |= MsFlags::MS_RDONLY;
        }
        mount(
            Some("plimsoll"),
            point,
            Some(KIND),
            options_of_mount,
            Some(options.as_str()),
        )
        .map_err(|source| MountError::Refused {
            point: point.to_owned(),
            source,
        })?;
        let point = point.to_owned();
        Ok((Mounted { point }, device))
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
