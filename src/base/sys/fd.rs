//! Descriptors: one put in another's place, and descriptors that travel between processes.
#![allow(unsafe_code, reason = "nix lacks these calls, or takes plain numbers")]

use std::{
    io::{IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockFlag, SockType,
        recv, recvmsg, sendmsg, socketpair,
    },
};

/// So many descriptors travel with one message at most.
pub const MOST: usize = 16;
/// So long is the text of a message at most.
pub const LONGEST: usize = 512;

/// Both ends of a connection whose messages keep their bounds.
///
/// # Errors
///
/// What `socketpair` answers: EMFILE at a limit of descriptors.
pub fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    let kind = SockType::SeqPacket;
    socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
}

/// Has the number of `place` lead to what `file` leads to.
///
/// A call that is waiting on what `place` led to before goes on waiting there.
///
/// # Errors
///
/// What `dup3` answers.
pub fn dup_onto(place: BorrowedFd<'_>, file: BorrowedFd<'_>) -> nix::Result<()> {
    let (file, place) = (file.as_raw_fd(), place.as_raw_fd());
    // SAFETY: `dup3` takes integers; both numbers are open, and whoever owns `place` still does.
    let result = unsafe { libc::dup3(file, place, libc::O_CLOEXEC) };
    Errno::result(result).map(drop)
}

/// The descriptor with that number, which this process was started with; closed at the next exec.
///
/// # Errors
///
/// EBADF when there is none.
pub fn inherited(number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: F_GETFD takes no pointer, and answers EBADF for a number that is not open.
    let result = unsafe { libc::fcntl(number, libc::F_GETFD) };
    Errno::result(result)?;
    // SAFETY: it is open, and the caller says that it was handed to this process to own.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

/// Lets the programs that this process becomes or starts have the descriptor.
///
/// # Errors
///
/// What `fcntl` answers.
pub fn clear_cloexec(fd: impl AsFd) -> nix::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// Sends one message with these descriptors, without waiting.
///
/// # Errors
///
/// EAGAIN when the other end does not read, EPIPE when it is gone.
pub fn send(socket: impl AsFd, text: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights: &[_] = if fds.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let text = [IoSlice::new(text)];
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &text, rights, flags, None).map(drop)
}

/// Waits for one message; its text is empty when the other end is gone.
///
/// # Errors
///
/// What `recvmsg` answers.
pub fn receive(socket: impl AsFd) -> nix::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut text = [0u8; LONGEST];
    let mut space = nix::cmsg_space!([RawFd; MOST]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let socket = socket.as_fd().as_raw_fd();
    let message: RecvMsg<'_, '_, ()> = loop {
        match recvmsg(socket, &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            message => break message?,
        }
    };
    let mut fds = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            for number in numbers {
                // SAFETY: the kernel has just installed this descriptor for us alone.
                fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    let length = message.bytes;
    Ok((text.get(..length).unwrap_or_default().to_vec(), fds))
}

/// Waits until there is something to read, or nobody at the other end any more.
///
/// # Errors
///
/// ETIMEDOUT when neither is so within that time, and what `poll` answers but EINTR.
pub fn readable_within(socket: impl AsFd, time: Duration) -> nix::Result<()> {
    let end = Instant::now() + time;
    loop {
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let left = end.saturating_duration_since(Instant::now());
        // A part of a millisecond is not nothing.
        let timeout = PollTimeout::try_from(left.saturating_add(Duration::from_millis(1)));
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Err(Errno::EINTR) => {}
            polled => return polled.map(drop),
        }
    }
}

/// The text of the next message, which stays; empty when the other end is gone.
///
/// # Errors
///
/// What `recv` answers: EAGAIN when there is none yet.
pub fn peek(socket: impl AsFd) -> nix::Result<Vec<u8>> {
    let mut text = vec![0; LONGEST];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    let length = recv(socket.as_fd().as_raw_fd(), &mut text, flags)?;
    text.truncate(length);
    Ok(text)
}

/// A descriptor of that process, readable as soon as it has ended.
///
/// # Errors
///
/// ESRCH when there is no such process.
pub fn of_process(pid: nix::unistd::Pid) -> nix::Result<OwnedFd> {
    pidfd(pid, 0)
}

/// A descriptor of that one thread, readable as soon as it has ended, though others of its process
/// may not have.
///
/// # Errors
///
/// ESRCH when there is no such thread, EINVAL before Linux 6.9.
pub fn of_thread(tid: nix::unistd::Pid) -> nix::Result<OwnedFd> {
    // PIDFD_THREAD of include/uapi/linux/pidfd.h.
    pidfd(tid, libc::O_EXCL)
}

fn pidfd(pid: nix::unistd::Pid, flags: libc::c_int) -> nix::Result<OwnedFd> {
    // SAFETY: `pidfd_open` takes two integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), flags) };
    let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: `pidfd_open` has just answered with this new descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::File,
        io::{Read, Write},
    };

    #[test]
    fn a_descriptor_arrives_with_its_message() {
        let (here, there) = pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        send(&here, b"a pipe", &[writer.as_fd()]).unwrap();
        drop(writer);
        let (text, mut fds) = receive(&there).unwrap();
        assert_eq!(text, b"a pipe");
        File::from(fds.remove(0)).write_all(b"x").unwrap();
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "x");
        drop(here);
        assert_eq!(receive(&there).unwrap().0, b"");
    }

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
