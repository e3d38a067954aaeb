//! The init process of a pid namespace.
#![allow(unsafe_code, reason = "nix has no such ioctl")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

// include/uapi/linux/nsfs.h: _IOR(0xb7, 0x7, int), since Linux 6.11.
const NS_GET_TGID_FROM_PIDNS: u32 = 0x8004_b707;

/// Returns the pid of the init process of the pid namespace that is open as `ns`
/// (`/proc/PID/ns/pid`), in the numbers of this process's pid namespace.
///
/// # Errors
/// ENOTTY before Linux 6.11, ESRCH when the init process is gone.
pub fn init_of(ns: impl AsFd) -> io::Result<u32> {
    // SAFETY: the argument of this ioctl is a plain number (the pid to translate), no pointer.
    let pid = unsafe {
        libc::ioctl(
            ns.as_fd().as_raw_fd(),
            NS_GET_TGID_FROM_PIDNS as libc::Ioctl,
            1,
        )
    };
    u32::try_from(pid).map_err(|_| io::Error::last_os_error())
}
