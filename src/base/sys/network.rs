//! The loopback device of a network namespace.
#![allow(unsafe_code, reason = "nix lacks these calls")]

use std::os::fd::AsRawFd;

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

/// Brings up the loopback device of this process's network namespace.
///
/// # Errors
///
/// EPERM without CAP_NET_ADMIN; the errors of `socket(2)` and SIOCSIFFLAGS.
pub fn raise_loopback() -> nix::Result<()> {
    let kind = SockType::Datagram;
    let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(b"lo") {
        *to = libc::c_char::try_from(*from).map_err(|_| Errno::EINVAL)?;
    }
    let flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING);
    let flags = flags.map_err(|_| Errno::EOVERFLOW)?;
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    let pointer = &raw const request;
    // musl declares the request's number with another type than `ioctl` takes it.
    let number = libc::SIOCSIFFLAGS as libc::Ioctl;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq` from the pointer, which points to a live one.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number, pointer) };
    Errno::result(result).map(drop)
}
