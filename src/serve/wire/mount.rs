//! The mount of a connection. The mount(2) call is made here and not by fuser, so that the file
//! system type names this program.

use super::{label, side::Side};
use crate::base::{
    mountinfo::Mount,
    paths::{self, FS_TYPE, NO_FUSE},
    sys::{self, Dir},
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::Mode,
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

/// The error of a mount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The kernel has no FUSE device.
    #[error("{NO_FUSE}")]
    NoDevice(#[source] io::Error),
    /// The kernel refused the mount.
    #[error("cannot mount on {}", point.display())]
    Refused {
        /// Mount point.
        point: PathBuf,
        /// Error of mount(2).
        source: nix::Error,
    },
}

/// The maximum number of background requests that the kernel sends on a connection before the first
/// of them is answered, in place of fuser's 16. Closed files are such requests: of a container with a
/// thousand threads none should wait for the others.
const MAX_BACKGROUND: &str = "4096";

/// Allows more background requests on the connection that is mounted at `point`. The handshake could
/// state the number too, but a successor could not change it then. `mounts` are this process's mounts
/// of the view.
///
/// # Errors
/// When the connection is not mounted there, or the kernel refuses.
pub fn allow_background(mounts: &[Mount], point: &Path) -> io::Result<()> {
    let mount = mounts.iter().rfind(|mount| mount.point == point);
    let minor = mount.and_then(|mount| Some(mount.device.split_once(':')?.1));
    let minor = minor.ok_or(io::ErrorKind::NotFound)?;
    let connections = Dir::from(sys::mount::fuse_connections()?);
    let setting = Path::new(minor).join("max_background");
    connections.set(&setting, MAX_BACKGROUND)
}

/// A mount of a connection. Drop unmounts it if this process owns it.
#[derive(Debug)]
pub(super) struct Mounted {
    point: PathBuf,
    is_owned: bool,
}

impl Mounted {
    /// Mounts one side of the view on the directory `view`, readable for every user, and returns
    /// the mount, which this process owns, with the device that requests come from. Where SELinux
    /// is on, each file of the mount has the label of the kernel's own files, unless the kernel
    /// refuses that label.
    ///
    /// # Errors
    /// Without `/dev/fuse` or `CAP_SYS_ADMIN`, or when the mount point is no directory.
    pub(super) fn new(view: &Path, side: Side) -> Result<(Mounted, OwnedFd), MountError> {
        let Some(label) = label::of_kernels_files() else {
            return Mounted::with_options(view, side, "");
        };
        let option = format!(",context=\"{label}\"");
        match Mounted::with_options(view, side, &option) {
            Err(MountError::Refused { source, .. }) => {
                let error = source.desc();
                tracing::warn!(
                    label,
                    error,
                    "cannot mount with the label of the kernel's files"
                );
                // A device whose mount was refused takes no second mount, so this one is another.
                Mounted::with_options(view, side, "")
            }
            result => result,
        }
    }

    fn with_options(view: &Path, side: Side, more: &str) -> Result<(Mounted, OwnedFd), MountError> {
        let point = side.mountpoint(view);
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let device = open("/dev/fuse", flags, Mode::empty());
        let device = device.map_err(|error| MountError::NoDevice(error.into()))?;
        let options = format!(
            "fd={},rootmode=40555,user_id=0,group_id=0,allow_other,default_permissions{more}",
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

    /// Stands for an existing mount, which another daemon owns until a call of
    /// [`unmount_on_drop`](Mounted::unmount_on_drop).
    pub(super) fn resumed(point: &Path) -> Mounted {
        Mounted {
            point: point.to_owned(),
            is_owned: false,
        }
    }

    /// Makes this process the owner, so that drop unmounts.
    pub(super) fn unmount_on_drop(&mut self) {
        self.is_owned = true;
    }

    /// Leaves the mount to a process after this one.
    pub(super) fn leave_mounted(mut self) {
        self.is_owned = false;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.is_owned {
            return;
        }
        // MNT_DETACH, because a reader may hold a file of the mount open.
        match umount2(&self.point, MntFlags::MNT_DETACH) {
            // Another process has unmounted it, or the mount around it is gone.
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            Err(error) => {
                tracing::warn!(point = %self.point.display(), %error, "cannot unmount");
            }
        }
    }
}
