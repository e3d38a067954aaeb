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
const ROOM: usize = 8192;
// enum fuse_notify_code, since Linux 6.9.
const FUSE_NOTIFY_RESEND: i32 = 7;
// Requests have even numbers, in ascending order as they are made; so many before and after the
// last one that is known may have been taken.
const NEAR: u64 = 4096;

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
pub struct Agreed {
    /// Its name among the connections of one daemon.
    pub name: String,
    /// Where it is mounted.
    pub point: PathBuf,
    /// What the kernel said first.
    pub hello: Vec<u8>,
    /// What it was answered.
    pub answer: Vec<u8>,
}

/// A connection to the kernel. One that was begun here is unmounted when dropped, unless it is
/// [left](Connection::leave); one that was resumed is so only once it is [owned](Connection::own).
#[derive(Debug)]
pub struct Connection {
    agreed: Agreed,
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
        let mut hello = vec![0; ROOM];
        let length = read(&device, &mut hello).map_err(handshake)?;
        hello.truncate(length);
        Ok(Connection {
            agreed: Agreed {
                name: side.name().to_owned(),
                point: side.point(view),
                hello,
                answer: Vec::new(),
            },
            device,
            mounted,
        })
    }

    /// Resumes one.
    ///
    /// # Errors
    /// When the kernel has ended it meanwhile.
    pub fn resume(agreed: Agreed, device: OwnedFd) -> Result<Connection, ConnectionError> {
        let mut fds = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).map_err(handshake)?;
        let [polled] = fds;
        if polled
            .revents()
            .is_none_or(|events| events.contains(PollFlags::POLLERR))
        {
            return Err(ConnectionError::Dead(agreed.name));
        }
        Ok(Connection {
            mounted: Mounted::resumed(&agreed.point),
            agreed,
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
        let (ours, theirs) = fd::pair().map_err(handshake)?;
        write(&ours, &self.agreed.hello).map_err(handshake)?;
        let mut config = fuser::Config::default();
        config.n_threads = Some(threads);
        let session = fuser::Session::from_fd(server, theirs, fuser::SessionACL::All, config)
            .map_err(ConnectionError::Handshake)?;
        let mut answer = vec![0; ROOM];
        let length = read(&ours, &mut answer).map_err(handshake)?;
        answer.truncate(length);
        if self.agreed.answer.is_empty() {
            write(&self.device, &answer).map_err(handshake)?;
            self.agreed.answer = answer;
        } else if self.agreed.answer != answer {
            return Err(ConnectionError::Disagrees(self.agreed.name.clone()));
        }
        fd::dup_onto(session.as_fd(), self.device.as_fd()).map_err(handshake)?;
        Ok(session)
    }

    /// Has the kernel give out again what a daemon before this one has taken and not answered;
    /// `last` is a recent number of a request that it took.
    ///
    /// To be called while nobody serves. Before Linux 6.9 the kernel cannot do so; then these
    /// requests are answered EINTR, after which most programs ask again by themselves. Answers
    /// whether the kernel can.
    pub fn recover(&self, last: u64) -> bool {
        if give_out_again(self.device()) {
            return true;
        }
        for unique in last.saturating_sub(NEAR)..last.saturating_add(NEAR) {
            // Only a request that was taken has an answer to get; others say ENOENT.
            let _ = write(&self.device, &head(-libc::EINTR, unique));
        }
        false
    }

    /// Which one it is, if this program knows it.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        Side::named(&self.agreed.name)
    }

    /// What a successor must know.
    #[must_use]
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
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
    pub fn own(&mut self) {
        self.mounted.own();
    }

    /// Leaves it mounted for a successor.
    pub fn leave(self) {
        self.mounted.leave();
    }
}

/// Whether a request waits on that device that nobody has taken yet.
#[must_use]
pub fn is_asked(device: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(device, PollFlags::POLLIN)];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    let [device] = fds;
    let events = device.revents().unwrap_or(PollFlags::empty());
    polled.is_ok() && events.contains(PollFlags::POLLIN)
}

/// Has the kernel give out again what was taken on that device and not answered; whether it can.
#[must_use]
pub fn give_out_again(device: BorrowedFd<'_>) -> bool {
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

fn handshake(error: Errno) -> ConnectionError {
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
