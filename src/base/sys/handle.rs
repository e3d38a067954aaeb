//! Opens cgroup directories by inode number.
#![allow(unsafe_code, reason = "neither nix nor rustix has open_by_handle_at")]

use crate::base::sys::Dir;
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

// `enum fid_type` in include/linux/exportfs.h: a file handle of kernfs is the node's 64-bit id,
// which on 64-bit machines is its inode number.
const FILEID_KERNFS: libc::c_int = 0xfe;

#[repr(C)]
struct KernfsHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: u64,
}

/// Opens the directory with the inode number `inode` in the kernfs file system (cgroup v1 or v2) in
/// which `mount` lies.
///
/// # Errors
/// ESTALE when there is no such inode, ENOTDIR for a file, EPERM without CAP_DAC_READ_SEARCH in the
/// initial user namespace, EOPNOTSUPP in another file system.
pub fn directory_by_inode(mount: &Dir, inode: u64) -> io::Result<Dir> {
    // The call refuses a descriptor of O_PATH, which `Dir` holds.
    let mount = nix::fcntl::openat(
        mount,
        ".",
        nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )?;
    let mut handle = KernfsHandle {
        bytes: 8,
        kind: FILEID_KERNFS,
        id: inode,
    };
    // SAFETY: open_by_handle_at reads a `struct file_handle`: a length, a type, and as many bytes
    // as the length says; `KernfsHandle` has that layout with the 8 bytes that its length names.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            &raw mut handle,
            libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC,
        )
    };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has just returned this descriptor, and no other code has it.
    Ok(Dir::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}
