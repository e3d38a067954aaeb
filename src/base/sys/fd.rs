//! Descriptors: duplicated, inherited, accepted, and waited for.
#![allow(unsafe_code, reason = "nix lacks these calls, or takes plain numbers")]

use super::errno;
use rustix::net::SocketFlags;
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, SockFlag, SockType, socketpair},
};

/// Makes a connection of two sockets that keeps the bounds of messages (SOCK_SEQPACKET).
///
/// # Errors
///
/// The errors of `socketpair(2)`: EMFILE at the limit of descriptors.
pub fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    let kind = SockType::SeqPacket;
    socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
}

/// Makes the descriptor number of `place` refer to the open file of `file`.
///
/// A call that already waits on the former file of `place` goes on waiting there.
///
/// # Errors
///
/// The errors of `dup3(2)`.
pub fn dup_onto(place: BorrowedFd<'_>, file: BorrowedFd<'_>) -> nix::Result<()> {
    let (file, place) = (file.as_raw_fd(), place.as_raw_fd());
    // SAFETY: `dup3` takes integers; both numbers are open, and the owner of `place` stays the owner.
    let result = unsafe { libc::dup3(file, place, libc::O_CLOEXEC) };
    Errno::result(result).map(drop)
}

/// Makes the next exec close every descriptor but standard input, output and error.
///
/// # Errors
///
/// EINVAL before Linux 5.11.
pub fn close_all_on_exec() -> nix::Result<()> {
    close_range(libc::CLOSE_RANGE_CLOEXEC)
}

/// Applies `close_range(2)` with these flags to every descriptor but standard input, output and error. Without
/// [`libc::CLOSE_RANGE_CLOEXEC`] no owner may use its descriptor again.
pub(super) fn close_range(flags: libc::c_uint) -> nix::Result<()> {
    let (first, last) = (3 as libc::c_uint, libc::c_uint::MAX);
    // SAFETY: `close_range` takes integers and touches no memory. The callers see to the owners.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    Errno::result(result).map(drop)
}

/// Takes over the descriptors with which systemd started this process (`sd_listen_fds(3)`), each
/// with its name. Each descriptor is closed at the next exec.
///
/// Descriptors are taken at most once: a second call returns none.
///
/// # Errors
///
/// EBADF when a number that the environment names is not open, EINVAL when the environment is no
/// valid list.
pub fn listen_fds() -> io::Result<Vec<(String, OwnedFd)>> {
    static ARE_TAKEN: AtomicBool = AtomicBool::new(false);
    if ARE_TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let mut fds = Vec::new();
    for (number, name) in sd_notify::listen_fds_with_names()? {
        // SAFETY: F_GETFD takes no pointer, and answers EBADF for a number that is not open.
        let result = unsafe { libc::fcntl(number, libc::F_GETFD) };
        Errno::result(result)?;
        // SAFETY: the descriptor is open. `sd_notify` checked that LISTEN_PID is this process, so
        // systemd passed the descriptor to this process alone, and `ARE_TAKEN` ensures that no other
        // call took the descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fds.push((name, fd));
    }
    Ok(fds)
}

/// Accepts one connection on the listening socket `listener`. The new descriptor is closed at the
/// next exec.
///
/// # Errors
///
/// The errors of `accept4(2)`.
pub fn accept(listener: impl AsFd) -> nix::Result<OwnedFd> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC).map_err(errno)
}

/// Waits until `socket` has a message or its other end is closed.
///
/// # Errors
///
/// ETIMEDOUT when neither happens within `time`; the errors of `poll(2)` but EINTR.
pub fn readable_within(socket: impl AsFd, time: Duration) -> nix::Result<()> {
    ready_within(socket, PollFlags::POLLIN, time)
}

/// Waits until `socket` has room for a message or its other end is closed.
///
/// # Errors
///
/// ETIMEDOUT when neither happens within `time`; the errors of `poll(2)` but EINTR.
pub fn writable_within(socket: impl AsFd, time: Duration) -> nix::Result<()> {
    ready_within(socket, PollFlags::POLLOUT, time)
}

/// Waits until the other end of `socket` is closed.
///
/// # Errors
///
/// ETIMEDOUT when it is not closed within `time`; the errors of `poll(2)` but EINTR.
pub fn closed_within(socket: impl AsFd, time: Duration) -> nix::Result<()> {
    ready_within(socket, PollFlags::empty(), time)
}

/// Waits until a message is there for one of the sockets or pipes, the other end of one is closed, or
/// `time` is over. May return earlier.
///
/// # Errors
///
/// The errors of `poll(2)` but EINTR.
pub fn any_readable_within<'fd>(
    sockets: impl Iterator<Item = &'fd OwnedFd>,
    time: Duration,
) -> nix::Result<()> {
    let mut fds: Vec<PollFd<'_>> = sockets
        .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut fds, poll_timeout(time)) {
        Err(Errno::EINTR) => Ok(()),
        polled => polled.map(drop),
    }
}

/// Returns a time for `poll`, rounded up: `poll` counts whole milliseconds, and would not wait for 0.
#[must_use]
pub fn poll_timeout(time: Duration) -> PollTimeout {
    let timeout = PollTimeout::try_from(time.saturating_add(Duration::from_millis(1)));
    timeout.unwrap_or(PollTimeout::MAX)
}

fn ready_within(socket: impl AsFd, events: PollFlags, time: Duration) -> nix::Result<()> {
    let end = Instant::now() + time;
    loop {
        let mut fds = [PollFd::new(socket.as_fd(), events)];
        let left = end.saturating_duration_since(Instant::now());
        match poll(&mut fds, poll_timeout(left)) {
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Err(Errno::EINTR) => {}
            polled => return polled.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_replaced_descriptor_leads_elsewhere() {
        let (mut one, _one) = std::io::pipe().unwrap();
        let (two, mut writer) = std::io::pipe().unwrap();
        dup_onto(one.as_fd(), two.as_fd()).unwrap();
        writer.write_all(b"y").unwrap();
        let mut byte = [0];
        one.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"y");
    }
}
