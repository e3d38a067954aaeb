//! The mount: made by hand, so that its file system type says whose it is.

use crate::base::paths::{self, CONTAINERS, FS_TYPE};
use nix::{
    errno::Errno,
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

/// The two connections to the kernel, and what each serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The whole tree; writable, for triggers are written to the pressure files; any other write
    /// is refused file by file.
    Direct,
    /// What the kernel caches, mounted on a directory of the other; read-only.
    Cached,
}

impl Side {
    /// Both, in the order in which they are mounted.
    pub const BOTH: [Side; 2] = [Side::Direct, Side::Cached];

    /// Its name, which never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Direct => "direct",
            Side::Cached => "cached",
        }
    }

    /// The side with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| side.name() == name)
    }

    /// Where it is mounted, for the view there.
    #[must_use]
    pub fn mountpoint(self, view: &Path) -> PathBuf {
        match self {
            Side::Direct => view.to_owned(),
            Side::Cached => view.join(CONTAINERS),
        }
    }

    /// Its place in the order.
    #[must_use]
    pub fn index(self) -> u8 {
        u8::from(self == Side::Cached)
    }
}

/// A mount of ours, which is taken away when this is dropped.
#[derive(Debug)]
pub(super) struct Mounted {
    point: PathBuf,
    is_ours: bool,
}

impl Mounted {
    /// Mounts one side of the view on the directory `view`, readable for everyone, and returns the
    /// device that requests come from.
    ///
    /// # Errors
    /// Without `/dev/fuse` or `CAP_SYS_ADMIN`, or when there is no directory to mount it on.
    pub(super) fn new(view: &Path, side: Side) -> Result<(Mounted, OwnedFd), MountError> {
        let point = side.mountpoint(view);
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let device = open("/dev/fuse", flags, Mode::empty()).map_err(MountError::NoDevice)?;
        let options = format!(
            "fd={},rootmode=40555,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        let mut options_of_mount = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if side == Side::Cached {
            options_of_mount |= MsFlags::MS_RDONLY;
        }
        mount(
            Some(paths::mount_source(view).as_str()),
            &point,
            Some(FS_TYPE),
            options_of_mount,
            Some(options.as_str()),
        )
        .map_err(|source| MountError::Refused {
            point: point.clone(),
            source,
        })?;
        let mut mounted = Mounted::resumed(&point);
        mounted.unmount_on_drop();
        Ok((mounted, device))
    }

    /// A mount that is there already, another daemon's until it is [owned](Mounted::unmount_on_drop).
    pub(super) fn resumed(point: &Path) -> Mounted {
        Mounted {
            point: point.to_owned(),
            is_ours: false,
        }
    }

    /// From now on it is taken away when this is dropped.
    pub(super) fn unmount_on_drop(&mut self) {
        self.is_ours = true;
    }

    /// Leaves it for a process after this one.
    pub(super) fn leave_mounted(mut self) {
        self.is_ours = false;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.is_ours {
            return;
        }
        // Detached, because a reader may hold a file of it open.
        match umount2(&self.point, MntFlags::MNT_DETACH) {
            // Somebody has done so already; or it lay in a view that is gone.
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            Err(error) => {
                tracing::warn!(point = %self.point.display(), %error, "cannot unmount");
            }
        }
    }
}
