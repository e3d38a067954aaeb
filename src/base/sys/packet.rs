//! Packets: short texts with descriptors, over a socket that keeps the bounds of messages.

use super::errno;
use nix::errno::Errno;
use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
    },
};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// The maximum of descriptors that the kernel lets travel with one message (`SCM_MAX_FD` in
/// `include/net/scm.h`).
pub const MAX_PACKET_FDS: usize = 253;
/// The maximum length of a packet's text, in bytes.
pub const MAX_PACKET_BYTES: usize = 8192;

const CONTROL_BYTES: usize = cmsg_space!(ScmRights(MAX_PACKET_FDS));

/// Sends one packet with a text of at most [`MAX_PACKET_BYTES`] and at most [`MAX_PACKET_FDS`]
/// descriptors. Does not wait.
///
/// # Errors
///
/// EAGAIN when the socket buffer is full, EPIPE when the other end is closed or no longer reads,
/// ETOOMANYREFS when too many descriptors of a user without CAP_SYS_ADMIN are under way.
pub fn send(socket: impl AsFd, text: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::EINVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(text)], &mut control, flags).map_err(errno)?;
    Ok(())
}

/// Waits for one packet, and returns its text and its descriptors. The text is empty when the
/// other end is closed.
///
/// # Errors
///
/// EMFILE when this process may not open as many descriptors, EMSGSIZE when the text is longer
/// than [`MAX_PACKET_BYTES`]: all descriptors of that packet are closed then. Otherwise the errors
/// of `recvmsg(2)`.
pub fn receive(socket: impl AsFd) -> nix::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut text = [0u8; MAX_PACKET_BYTES];
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let packet = loop {
        match recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).map_err(errno) {
            Err(Errno::EINTR) => {}
            packet => break packet?,
        }
    };
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fds = fds.flatten().collect();
    // The control buffer has room for all that the kernel sends: only a limit of descriptors can
    // have cut them short (scm_detach_fds in net/core/scm.c).
    if packet.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::EMFILE);
    }
    if packet.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::EMSGSIZE);
    }
    let text = text.get(..packet.bytes).unwrap_or_default();
    Ok((text.to_vec(), fds))
}

/// Returns the text of the next packet, which stays in the socket. Does not wait. The text is
/// empty when the other end is closed.
///
/// # Errors
///
/// EAGAIN when there is no packet; otherwise the errors of `recv(2)`.
pub fn peek(socket: impl AsFd) -> nix::Result<Vec<u8>> {
    let mut text = vec![0; MAX_PACKET_BYTES];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (length, _) = recv(socket, text.as_mut_slice(), flags).map_err(errno)?;
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::fd::pair;
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
    fn a_packet_carries_as_many_descriptors_as_the_kernel_allows() {
        let (here, there) = pair().unwrap();
        let stdin = std::io::stdin();
        send(&here, b"all", &[stdin.as_fd(); MAX_PACKET_FDS]).unwrap();
        assert_eq!(receive(&there).unwrap().1.len(), MAX_PACKET_FDS);
    }

    #[test]
    fn a_text_that_is_too_long_is_an_error() {
        let (here, there) = pair().unwrap();
        send(&here, &[b'x'; MAX_PACKET_BYTES + 1], &[]).unwrap();
        assert_eq!(receive(&there).unwrap_err(), Errno::EMSGSIZE);
    }
}
