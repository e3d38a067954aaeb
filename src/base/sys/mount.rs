//! Mounts by descriptor: a copy of a tree, what it forbids, and where it is put (kernel 5.12 and later).
#![allow(unsafe_code, reason = "nix lacks these calls")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// How much of a mount is copied or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The one mount.
    Alone,
    /// The mount and every mount below it.
    Below,
}

/// What a mount forbids, beside what it forbade already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forbid {
    /// Writing.
    pub writes: bool,
    /// Opening device nodes.
    pub devices: bool,
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
const MOUNT_ATTR_NODEV: u64 = 0x4;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const MOVE_MOUNT_BENEATH: libc::c_uint = 0x200;

/// The number of the mount that an open file lies in, as `/proc/PID/mountinfo` has it; its file
/// system is not asked.
///
/// # Errors
///
/// What `statx` answers; ENOSYS where it does not tell (before Linux 5.8).
pub fn number(file: BorrowedFd<'_>) -> nix::Result<u64> {
    let mut told = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is a C string that lives for ever, and the kernel writes one `statx` to
    // where it is told, which lives until then.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
            libc::STATX_MNT_ID,
            told.as_mut_ptr(),
        )
    };
    Errno::result(result)?;
    // SAFETY: all its bytes may be zero, as they are where the kernel has written nothing else.
    let told = unsafe { told.assume_init() };
    match told.stx_mask & libc::STATX_MNT_ID {
        0 => Err(Errno::ENOSYS),
        _ => Ok(told.stx_mnt_id),
    }
}

/// A detached copy of the tree below an open file or directory; gone when dropped, unless attached.
///
/// # Errors
///
/// What `open_tree` answers: EPERM without CAP_SYS_ADMIN, EINVAL for a mount that may not be bound.
pub fn clone_tree(source: BorrowedFd<'_>, depth: Depth) -> nix::Result<OwnedFd> {
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    flags |= libc::AT_EMPTY_PATH as libc::c_uint;
    if depth == Depth::Below {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    let fd = source.as_raw_fd();
    // SAFETY: the path is a C string that lives for ever; the kernel only reads it.
    let result = unsafe { libc::syscall(libc::SYS_open_tree, fd, c"".as_ptr(), flags) };
    let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: `open_tree` has just answered with this new descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a mount forbid more; `mount` is an open file or directory at its top.
///
/// # Errors
///
/// What `mount_setattr` answers: EINVAL when the descriptor is not at the top of a mount, EPERM.
pub fn forbid(mount: BorrowedFd<'_>, forbid: Forbid, depth: Depth) -> nix::Result<()> {
    let mut attr = MountAttr::default();
    if forbid.writes {
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    }
    if forbid.devices {
        attr.attr_set |= MOUNT_ATTR_NODEV;
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

/// Has nothing that is mounted on a copy show where it was copied from, or the other way: a copy is
/// one of the same peers (`Documentation/filesystems/sharedsubtree.rst`).
///
/// # Errors
///
/// What `mount_setattr` answers: EINVAL when the descriptor is not at the top of a mount, EPERM.
pub fn make_private(mount: BorrowedFd<'_>) -> nix::Result<()> {
    propagate(mount, libc::MS_PRIVATE)
}

/// Has the kernel refuse, with EINVAL, to put a tree where it would show in another place too; until
/// it is [private](make_private).
///
/// # Errors
///
/// What `mount_setattr` answers: EINVAL when the descriptor is not at the top of a mount, EPERM.
pub fn make_unbindable(tree: BorrowedFd<'_>) -> nix::Result<()> {
    // do_move_mount in fs/namespace.c: what may not be bound is not moved to a mount that is shared.
    propagate(tree, libc::MS_UNBINDABLE)
}

fn propagate(mount: BorrowedFd<'_>, how: libc::c_ulong) -> nix::Result<()> {
    let attr = MountAttr {
        propagation: how,
        ..MountAttr::default()
    };
    set(mount, &attr, libc::AT_EMPTY_PATH)
}

/// Puts a tree (see [`clone_tree`]) over an open file or directory.
///
/// # Errors
///
/// What `move_mount` answers: ENOTDIR when one is a file and the other a directory, ENOENT when
/// the target was removed.
pub fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    moved(tree, target, 0)
}

/// Puts a tree (see [`clone_tree`]) beneath the mount whose top `target` holds open: it shows when that
/// mount goes (kernel 6.5 and later).
///
/// # Errors
///
/// What `move_mount` answers: EINVAL on an older kernel, or for a mount that is locked.
pub fn attach_beneath(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    moved(tree, target, MOVE_MOUNT_BENEATH)
}

fn moved(tree: BorrowedFd<'_>, target: BorrowedFd<'_>, how: libc::c_uint) -> nix::Result<()> {
    let (from, to, path) = (tree.as_raw_fd(), target.as_raw_fd(), c"".as_ptr());
    let flags = how | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are one C string that lives for ever; the kernel only reads it.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, from, path, to, path, flags) };
    Errno::result(result).map(drop)
}
