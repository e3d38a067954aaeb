//! Terminals: their size, the other end of one, and one received over a socket.
#![allow(unsafe_code, reason = "nix lacks these calls")]

use std::{
    io::IoSliceMut,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    os::unix::net::UnixStream,
};

use nix::{
    errno::Errno,
    sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, recvmsg},
};

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(libc::winsize);

/// The size of a terminal.
///
/// # Errors
///
/// ENOTTY when `fd` is none.
pub fn size(fd: BorrowedFd<'_>) -> nix::Result<Size> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pointer = &raw mut size;
    // SAFETY: TIOCGWINSZ writes one `winsize` where the pointer shows, which is a live one.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, pointer) };
    Errno::result(result).map(|_| Size(size))
}

/// Changes the size of a terminal; its foreground processes get SIGWINCH.
///
/// # Errors
///
/// ENOTTY when `fd` is none.
pub fn resize(fd: BorrowedFd<'_>, size: Size) -> nix::Result<()> {
    let pointer = &raw const size.0;
    // SAFETY: TIOCSWINSZ reads one `winsize` where the pointer shows, which is a live one.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, pointer) };
    Errno::result(result).map(drop)
}

/// The terminal whose master is `master`, opened without a path, whatever namespace it is of.
///
/// # Errors
///
/// ENOTTY when `master` is no master of a terminal.
pub fn peer(master: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags as an integer and touches no memory of ours.
    let result = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    let fd = Errno::result(result)?;
    // SAFETY: the ioctl has just answered with this new descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The one descriptor that a message on `socket` carries.
///
/// # Errors
///
/// EBADMSG when the message carries none; what `recvmsg` answers.
pub fn received(socket: &UnixStream) -> nix::Result<OwnedFd> {
    let mut text = [0u8; 4096];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message: RecvMsg<'_, '_, ()> =
        recvmsg(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let rights = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let fd = rights.ok_or(Errno::EBADMSG)?;
    // SAFETY: the kernel has just installed this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
