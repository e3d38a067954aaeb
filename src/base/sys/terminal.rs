//! Terminals: the size, the slave of a master, and a master that arrives over a socket.

use super::{errno, packet};
use nix::errno::Errno;
use rustix::{
    pty::{OpenptFlags, ioctl_tiocgptpeer},
    termios::{Winsize, tcgetwinsize, tcsetwinsize},
};
use std::os::{
    fd::{BorrowedFd, OwnedFd},
    unix::net::UnixStream,
};

/// The rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(Winsize);

/// Returns the size of the terminal `fd`.
///
/// # Errors
///
/// ENOTTY when `fd` is no terminal.
pub fn size(fd: BorrowedFd<'_>) -> nix::Result<Size> {
    tcgetwinsize(fd).map(Size).map_err(errno)
}

/// Changes the size of the terminal `fd`. The kernel sends SIGWINCH to the foreground processes.
///
/// # Errors
///
/// ENOTTY when `fd` is no terminal.
pub fn resize(fd: BorrowedFd<'_>, size: Size) -> nix::Result<()> {
    tcsetwinsize(fd, size.0).map_err(errno)
}

/// Opens the slave of the terminal `master` without a path, so the slave's mount namespace does not
/// matter.
///
/// # Errors
///
/// ENOTTY when `master` is no master of a terminal.
pub fn open_slave(master: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    ioctl_tiocgptpeer(master, flags).map_err(errno)
}

/// Receives one message on `socket` and returns the first descriptor that the message carries.
///
/// # Errors
///
/// EBADMSG when the message carries no descriptor; the errors of `recvmsg(2)`.
pub fn receive_fd(socket: &UnixStream) -> nix::Result<OwnedFd> {
    let (_, fds) = packet::receive(socket)?;
    fds.into_iter().next().ok_or(Errno::EBADMSG)
}
