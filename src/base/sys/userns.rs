//! The owner of a user namespace.
#![allow(unsafe_code, reason = "nix has no such ioctl")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

// include/uapi/linux/nsfs.h: _IO(0xb7, 0x4), since Linux 4.11.
const NS_GET_OWNER_UID: u32 = 0xb704;

/// Returns the uid of the user who made the user namespace that is open as `ns`
/// (`/proc/PID/ns/user`), in the numbers of this process's user namespace.
///
/// # Errors
/// EINVAL when `ns` is no user namespace.
pub fn owner_of(ns: impl AsFd) -> io::Result<u32> {
    let mut owner: libc::uid_t = 0;
    // SAFETY: this ioctl writes one uid to where its argument points, and `owner` outlives it.
    let result = unsafe {
        libc::ioctl(
            ns.as_fd().as_raw_fd(),
            NS_GET_OWNER_UID as libc::Ioctl,
            &raw mut owner,
        )
    };
    match result {
        0 => Ok(owner),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn the_hosts_user_namespace_is_roots_and_another_one_has_no_owner() {
        let user = File::open("/proc/self/ns/user").unwrap();
        assert_eq!(owner_of(&user).unwrap(), 0);
        let pid = File::open("/proc/self/ns/pid").unwrap();
        assert_eq!(
            owner_of(&pid).unwrap_err().raw_os_error(),
            Some(libc::EINVAL)
        );
    }
}
