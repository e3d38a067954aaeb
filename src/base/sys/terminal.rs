//! Terminals: a new one, its size, its slave, and its session.

use super::errno;
use rustix::{
    process::ioctl_tiocsctty,
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcgetwinsize, tcsetwinsize},
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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

/// Makes a terminal in the file system at `/dev/pts`, by way of `/dev/ptmx`, and returns its master
/// and its slave.
///
/// # Errors
///
/// The errors of `posix_openpt(3)`: ENOENT without that file, ENOSPC at the limit of terminals.
pub fn open_pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(errno)?;
    unlockpt(&master).map_err(errno)?;
    let slave = open_slave(master.as_fd())?;
    Ok((master, slave))
}

/// Makes the terminal `slave` the controlling terminal of this process, the leader of a session.
///
/// # Errors
///
/// EPERM when this process leads no session, or when another session has the terminal.
pub fn take_control(slave: BorrowedFd<'_>) -> nix::Result<()> {
    ioctl_tiocsctty(slave).map_err(errno)
}
