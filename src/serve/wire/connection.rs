//! A connection to the kernel: begun with a mount, or resumed where a daemon before this one left
//! it.
//!
//! The kernel says hello (`FUSE_INIT`) once in a connection's life, and fuser wants to hear it at
//! the start of each session. So fuser is given one end of a socket; we pass it the hello, the
//! kernel's first one in every life, and its answer goes to the kernel in the first life alone.
//! Then the device takes the socket's place.

use super::mount::{MountError, Mounted, Side};
use crate::base::sys::fd;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{read, write},
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

// FUSE_MIN_READ_BUFFER in include/uapi/linux/fuse.h: the kernel gives nothing to less room.
const INIT_BUFFER_BYTES: usize = 8192;
// enum fuse_notify_code, since Linux 6.9.
const FUSE_NOTIFY_RESEND: i32 = 7;
// Requests have even numbers, in ascending order as they are made; so many before and after the
// last one that is known may have been taken.
const MAX_REQUEST_DISTANCE: u64 = 4096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// There is no mount.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The kernel's hello or its answer is lost.
    #[error("cannot agree on a protocol with the kernel")]
    Handshake(#[source] io::Error),
    /// The kernel has ended it.
    #[error("the connection {0} is dead")]
    Dead(String),
    /// This program would have answered the kernel's hello otherwise.
    #[error("the connection {0} speaks a protocol that this program does not")]
    Disagrees(String),
}

/// What must be known of a connection to resume it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// Its name among the connections of one daemon.
    pub name: String,
    /// Where it is mounted.
    #[serde(rename = "point")]
    pub mountpoint: PathBuf,
    /// What the kernel said first.
    #[serde(rename = "hello")]
    pub init_request: Vec<u8>,
    /// What it was answered.
    #[serde(rename = "answer")]
    pub init_reply: Vec<u8>,
}

/// A connection to the kernel. One that was begun here is unmounted when dropped, unless it is
/// [left](Connection::leave_mounted); one that was resumed is so only once it is [owned](Connection::unmount_on_drop).
#[derive(Debug)]
pub struct Connection {
    handshake: Handshake,
    device: OwnedFd,
    mounted: Mounted,
}

impl Connection {
    /// Begins one by mounting that side of the view on the directory `view`.
    ///
    /// # Errors
    /// When the kernel refuses the mount, or says nothing.
    pub fn begin(side: Side, view: &Path) -> Result<Connection, ConnectionError> {
        let (mounted, device) = Mounted::new(view, side)?;
        let mut init_request = vec![0; INIT_BUFFER_BYTES];
        let length = read(&device, &mut init_request).map_err(handshake_error)?;
        init_request.truncate(length);
        Ok(Connection {
            handshake: Handshake {
                name: side.name().to_owned(),
                mountpoint: side.mountpoint(view),
                init_request,
                init_reply: Vec::new(),
            },
            device,
            mounted,
        })
    }

    /// Resumes one.
    ///
    /// # Errors
    /// When the kernel has ended it meanwhile.
    pub fn resume(handshake: Handshake, device: OwnedFd) -> Result<Connection, ConnectionError> {
        let mut fds = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).map_err(handshake_error)?;
        let [polled] = fds;
        if polled
            .revents()
            .is_none_or(|events| events.contains(PollFlags::POLLERR))
        {
            return Err(ConnectionError::Dead(handshake.name));
        }
        Ok(Connection {
            mounted: Mounted::resumed(&handshake.mountpoint),
            handshake,
            device,
        })
    }

    /// A session of the file system on this connection; nothing is answered before it runs.
    ///
    /// # Errors
    /// When the handshake fails, or ends otherwise than it did in this connection's first life.
    pub fn session<F: fuser::Filesystem>(
        &mut self,
        server: F,
        threads: usize,
    ) -> Result<fuser::Session<F>, ConnectionError> {
        let (ours, theirs) = fd::pair().map_err(handshake_error)?;
        write(&ours, &self.handshake.init_request).map_err(handshake_error)?;
        let mut config = fuser::Config::default();
        config.n_threads = Some(threads);
        let session = fuser::Session::from_fd(server, theirs, fuser::SessionACL::All, config)
            .map_err(ConnectionError::Handshake)?;
        let mut answer = vec![0; INIT_BUFFER_BYTES];
        let length = read(&ours, &mut answer).map_err(handshake_error)?;
        answer.truncate(length);
        if self.handshake.init_reply.is_empty() {
            write(&self.device, &answer).map_err(handshake_error)?;
            self.handshake.init_reply = answer;
        } else if self.handshake.init_reply != answer {
            return Err(ConnectionError::Disagrees(self.handshake.name.clone()));
        }
        fd::dup_onto(session.as_fd(), self.device.as_fd()).map_err(handshake_error)?;
        Ok(session)
    }

    /// Has the kernel give out again what a daemon before this one has taken and not answered;
    /// `last` is a recent number of a request that it took.
    ///
    /// To be called while nobody serves. Before Linux 6.9 the kernel cannot do so; then these
    /// requests are answered EINTR, after which most programs ask again by themselves. Answers
    /// whether the kernel can.
    pub fn recover(&self, last: u64) -> bool {
        if resend_requests(self.device()) {
            return true;
        }
        for unique in
            last.saturating_sub(MAX_REQUEST_DISTANCE)..last.saturating_add(MAX_REQUEST_DISTANCE)
        {
            // Only a request that was taken has an answer to get; others say ENOENT.
            let _ = write(&self.device, &head(-libc::EINTR, unique));
        }
        false
    }

    /// Which one it is, if this program knows it.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        Side::from_name(&self.handshake.name)
    }

    /// What a successor must know.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Whether the kernel has not ended it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(self.device.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }

    /// The device that requests come from.
    #[must_use]
    pub fn device(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// Unmounts it from now on when this is dropped, though another daemon began it.
    pub fn unmount_on_drop(&mut self) {
        self.mounted.unmount_on_drop();
    }

    /// Leaves it mounted for a successor.
    pub fn leave_mounted(self) {
        self.mounted.leave_mounted();
    }
}

/// Whether a request waits on that device that nobody has taken yet.
#[must_use]
pub fn has_waiting_request(device: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(device, PollFlags::POLLIN)];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    let [device] = fds;
    let events = device.revents().unwrap_or(PollFlags::empty());
    polled.is_ok() && events.contains(PollFlags::POLLIN)
}

/// Has the kernel give out again what was taken on that device and not answered; whether it can.
#[must_use]
pub fn resend_requests(device: BorrowedFd<'_>) -> bool {
    write(device, &head(FUSE_NOTIFY_RESEND, 0)).is_ok()
}

/// `struct fuse_out_header` with nothing behind it.
fn head(error: i32, unique: u64) -> [u8; 16] {
    let mut head = [0; 16];
    let words = 16u32
        .to_le_bytes()
        .into_iter()
        .chain(error.to_le_bytes())
        .chain(unique.to_le_bytes());
    for (to, from) in head.iter_mut().zip(words) {
        *to = from;
    }
    head
}

fn handshake_error(error: Errno) -> ConnectionError {
    ConnectionError::Handshake(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_its_length_its_error_and_its_request() {
        let head = head(-4, 0x0102);
        assert_eq!(head[..8], [16, 0, 0, 0, 252, 255, 255, 255]);
        assert_eq!(head[8..], [2, 1, 0, 0, 0, 0, 0, 0]);
    }
}
