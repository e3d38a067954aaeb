//! Mounts by descriptor: clone a mount, change its attributes, attach it (Linux 5.12 and later).
#![allow(unsafe_code, reason = "neither nix nor rustix has mount_setattr")]

use super::errno;
use nix::errno::Errno;
use rustix::{
    fs::{AtFlags, StatxFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The mounts that a copy or a change includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A single mount.
    Alone,
    /// The mount and every mount below it.
    Below,
}

/// The restrictions to add to those that a mount has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forbid {
    /// Forbid writes.
    pub writes: bool,
    /// Forbid to open device nodes.
    pub devices: bool,
    /// Forbid to execute programs, and ignore their set-user-ID bits.
    pub programs: bool,
}

impl Forbid {
    /// Returns the restriction of writes if `is_forbidden`, else none.
    #[must_use]
    pub fn writes_if(is_forbidden: bool) -> Forbid {
        Forbid {
            writes: is_forbidden,
            ..Forbid::default()
        }
    }
}

/// `struct mount_attr` of `include/uapi/linux/mount.h`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

// `include/uapi/linux/mount.h`.
const MOUNT_ATTR_RDONLY: u64 = 0x1;
const MOUNT_ATTR_NOSUID: u64 = 0x2;
const MOUNT_ATTR_NODEV: u64 = 0x4;
const MOUNT_ATTR_NOEXEC: u64 = 0x8;

/// Returns the id of the mount in which an open file lies, as `/proc/PID/mountinfo` shows the id.
/// The call does not ask the file system.
///
/// # Errors
///
/// The errors of `statx(2)`; ENOSYS where the kernel does not return the id (before Linux 5.8).
pub fn number(file: BorrowedFd<'_>) -> nix::Result<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let statx = rustix::fs::statx(file, c"", flags, StatxFlags::MNT_ID).map_err(errno)?;
    match statx.stx_mask & StatxFlags::MNT_ID.bits() {
        0 => Err(Errno::ENOSYS),
        _ => Ok(statx.stx_mnt_id),
    }
}

/// Returns the directory with the settings of the machine's FUSE connections, in a detached mount,
/// because an administrator may have unmounted the directory. Each connection has a directory there,
/// named by the minor number of its device (`Documentation/filesystems/fuse/fuse.rst`).
///
/// # Errors
///
/// The errors of `fsopen(2)` and `fsmount(2)`: EPERM without CAP_SYS_ADMIN, ENODEV without FUSE.
pub fn fuse_connections() -> nix::Result<OwnedFd> {
    let context = fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC).map_err(errno)?;
    fsconfig_create(&context).map_err(errno)?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    fsmount(&context, flags, MountAttrFlags::empty()).map_err(errno)
}

/// Makes a detached copy of the mount whose top, or a file below it, is open as `source`. The
/// kernel removes the copy when the descriptor is dropped, unless the copy was attached.
///
/// # Errors
///
/// The errors of `open_tree(2)`: EPERM without CAP_SYS_ADMIN, EINVAL for a mount that may not be
/// bound.
pub fn clone_tree(source: BorrowedFd<'_>, depth: Depth) -> nix::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Depth::Below {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(source, c"", flags).map_err(errno)
}

/// Makes a detached, empty tmpfs with that source and these further options of tmpfs(5). The kernel
/// removes the tmpfs when the descriptor is dropped, unless the tmpfs was attached.
///
/// # Errors
///
/// The errors of [`new_file_system`].
pub fn new_tmpfs(source: &str, options: &[(&str, &str)]) -> nix::Result<OwnedFd> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    new_file_system("tmpfs", source, options, attributes)
}

/// Makes a detached mount of a new file system of that kind. The kernel removes the mount when the
/// descriptor is dropped, unless the mount was attached.
///
/// # Errors
///
/// The errors of `fsopen(2)`, `fsconfig(2)` and `fsmount(2)`: EPERM without CAP_SYS_ADMIN, ENODEV
/// for a kind that the kernel lacks.
pub fn new_file_system(
    kind: &str,
    source: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> nix::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(errno)?;
    for (key, value) in [("source", source)].iter().chain(options) {
        fsconfig_set_string(&context, *key, *value).map_err(errno)?;
    }
    fsconfig_create(&context).map_err(errno)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(errno)
}

/// Adds restrictions to the mount whose top is open as `mount`.
///
/// # Errors
///
/// The errors of `mount_setattr(2)`: EINVAL when the descriptor is not at the top of a mount, EPERM.
pub fn forbid(mount: BorrowedFd<'_>, forbid: Forbid, depth: Depth) -> nix::Result<()> {
    let mut attr = MountAttr::default();
    if forbid.writes {
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    }
    if forbid.devices {
        attr.attr_set |= MOUNT_ATTR_NODEV;
    }
    if forbid.programs {
        attr.attr_set |= MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    }
    let mut flags = libc::AT_EMPTY_PATH;
    if depth == Depth::Below {
        flags |= libc::AT_RECURSIVE;
    }
    set(mount, &attr, flags)
}

fn set(mount: BorrowedFd<'_>, attr: &MountAttr, flags: libc::c_int) -> nix::Result<()> {
    let (fd, path) = (mount.as_raw_fd(), c"".as_ptr());
    let (attr, size) = (&raw const *attr, size_of::<MountAttr>());
    // SAFETY: `attr` points to a live struct of the size that is passed with it; the kernel only
    // reads it and the path, which lives for ever.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, fd, path, flags, attr, size) };
    Errno::result(result).map(drop)
}

/// Makes a mount private (MS_PRIVATE). Without this call a mount on the source also appears on the
/// copy, and the reverse (`Documentation/filesystems/sharedsubtree.rst`).
///
/// # Errors
///
/// The errors of `mount_setattr(2)`: EINVAL when the descriptor is not at the top of a mount, EPERM.
pub fn make_private(mount: BorrowedFd<'_>) -> nix::Result<()> {
    propagate(mount, libc::MS_PRIVATE)
}

/// Makes a mount unbindable (MS_UNBINDABLE). Until the mount is [private](make_private) again, the
/// kernel refuses with EINVAL to attach the mount where a peer would show the mount too.
///
/// # Errors
///
/// The errors of `mount_setattr(2)`: EINVAL when the descriptor is not at the top of a mount, EPERM.
pub fn make_unbindable(tree: BorrowedFd<'_>) -> nix::Result<()> {
    // do_move_mount in fs/namespace.c refuses to move an unbindable mount to a shared one.
    propagate(tree, libc::MS_UNBINDABLE)
}

fn propagate(mount: BorrowedFd<'_>, how: libc::c_ulong) -> nix::Result<()> {
    let attr = MountAttr {
        propagation: how,
        ..MountAttr::default()
    };
    set(mount, &attr, libc::AT_EMPTY_PATH)
}

/// Attaches the mount `tree`, made by [`clone_tree`], on the open file or directory `target`.
///
/// # Errors
///
/// The errors of `move_mount(2)`: ENOTDIR when one is a file and the other a directory, ENOENT when
/// the target was removed.
pub fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    moved(tree, target, MoveMountFlags::empty())
}

/// Attaches the mount `tree`, made by [`clone_tree`], beneath the mount whose top is open as
/// `target`. The mount `tree` becomes visible when that mount is removed (Linux 6.5 and later).
///
/// # Errors
///
/// The errors of `move_mount(2)`: EINVAL on an older kernel, or for a mount that is locked.
pub fn attach_beneath(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    moved(tree, target, MoveMountFlags::MOVE_MOUNT_BENEATH)
}

fn moved(tree: BorrowedFd<'_>, target: BorrowedFd<'_>, how: MoveMountFlags) -> nix::Result<()> {
    let flags =
        how | MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags).map_err(errno)
}
