//! A connection to the kernel: begun with a mount, or resumed after a daemon before this one.
//!
//! The kernel sends `FUSE_INIT` once in a connection's life, and fuser expects that request at the
//! start of each session. So fuser gets one end of a socket pair, and this file writes the kernel's
//! first `FUSE_INIT` to the other end. The first daemon passes fuser's reply on to the kernel; each
//! later daemon only compares its reply with the first one. Then the device takes the place of the
//! socket.
//!
//! ```text
//! first daemon   kernel -- FUSE_INIT --> Handshake -- FUSE_INIT --> fuser
//!                kernel <---- reply ---- Handshake <---- reply ---- fuser
//! later daemon                           Handshake -- FUSE_INIT --> fuser
//!                                        Handshake  == reply? <---- fuser
//! ```

use super::{
    handshake::Handshake,
    mount::{MountError, Mounted},
    side::Side,
};
use crate::base::sys::fd;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{read, write},
};
use std::{
    io,
    ops::RangeInclusive,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

// FUSE_MIN_READ_BUFFER in include/uapi/linux/fuse.h: the kernel refuses reads into a smaller
// buffer.
const INIT_BUFFER_BYTES: usize = 8192;
// enum fuse_notify_code, since Linux 6.9.
const FUSE_NOTIFY_RESEND: i32 = 7;
// Requests have even numbers, which ascend as the kernel makes them. A request that a dead daemon
// took has a number at most this far from the last number that the daemon recorded.
const MAX_REQUEST_DISTANCE: u64 = 4096;

/// The bit in the number of a request that the kernel has sent again (`FUSE_UNIQUE_RESEND`).
pub const RESENT: u64 = 1 << 63;

/// The maximum number of requests that are tried before Linux 6.9, each with a system call.
const MAX_TRIED: u64 = 4 << 20;

/// The error of beginning, resuming or serving a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The mount failed.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// `FUSE_INIT` or its reply could not be read or written.
    #[error("cannot agree on a protocol with the kernel")]
    Handshake(#[source] io::Error),
    /// The kernel has ended the connection.
    #[error("the connection {0} is dead")]
    Dead(String),
    /// The reply of this program to `FUSE_INIT` differs from the reply that the kernel got.
    #[error("the connection {0} speaks a protocol that this program does not")]
    Disagrees(String),
}

/// A connection to the kernel.
///
/// A connection that this process began is unmounted on drop, but not by
/// [`leave_mounted`](Connection::leave_mounted). A resumed connection is unmounted on drop only
/// after a call of [`unmount_on_drop`](Connection::unmount_on_drop).
#[derive(Debug)]
pub struct Connection {
    handshake: Handshake,
    device: OwnedFd,
    mounted: Mounted,
}

impl Connection {
    /// Mounts that side of the view on the directory `view`, and reads the kernel's `FUSE_INIT`.
    ///
    /// # Errors
    /// When the kernel refuses the mount or sends no `FUSE_INIT`.
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

    /// Resumes the connection of a daemon before this one.
    ///
    /// # Errors
    /// When the kernel has ended the connection.
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

    /// Starts a session of the file system on this connection, which replies to no request before
    /// it runs.
    ///
    /// # Errors
    /// When the handshake fails, or when its reply differs from the one that the kernel got.
    pub fn session<F: fuser::Filesystem>(
        &mut self,
        server: F,
        threads: usize,
    ) -> Result<fuser::Session<F>, ConnectionError> {
        let (ours, theirs) = fd::pair().map_err(handshake_error)?;
        write(&ours, &self.handshake.offer()).map_err(handshake_error)?;
        let mut config = fuser::Config::default();
        config.n_threads = Some(threads);
        let session = fuser::Session::from_fd(server, theirs, fuser::SessionACL::All, config)
            .map_err(ConnectionError::Handshake)?;
        let mut init_reply = vec![0; INIT_BUFFER_BYTES];
        let length = read(&ours, &mut init_reply).map_err(handshake_error)?;
        init_reply.truncate(length);
        if self.handshake.init_reply.is_empty() {
            write(&self.device, &init_reply).map_err(handshake_error)?;
            self.handshake.init_reply = init_reply;
        } else if self.handshake.init_reply != init_reply {
            return Err(ConnectionError::Disagrees(self.handshake.name.clone()));
        }
        fd::dup_onto(session.as_fd(), self.device.as_fd()).map_err(handshake_error)?;
        Ok(session)
    }

    /// Asks the kernel to send again the requests that a daemon before this one took and did not
    /// reply to, and returns whether the kernel can do so; `taken` are the numbers of the oldest one
    /// that may have no reply, and of one that the daemon took shortly before its end.
    ///
    /// No daemon may serve the connection during this call. Before Linux 6.9 the kernel cannot send
    /// requests again. This function then replies EINTR to them, after which most programs repeat
    /// the system call.
    pub fn recover(&self, taken: RangeInclusive<u64>) -> bool {
        if resend_requests(self.device()) {
            return true;
        }
        let first = taken.start().saturating_sub(MAX_REQUEST_DISTANCE);
        let end = taken.end().saturating_add(MAX_REQUEST_DISTANCE);
        // A number that is far too small would keep the daemon from starting.
        let first = first.max(end.saturating_sub(MAX_TRIED));
        for unique in first..end {
            // The kernel answers ENOENT for a number that no taken request has.
            let _ = write(&self.device, &head(-libc::EINTR, unique));
        }
        false
    }

    /// Returns the side of this connection, or `None` for an unknown name.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        Side::from_name(&self.handshake.name)
    }

    /// Returns the part of the connection that a successor needs beside the device.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Returns whether the connection is open: the kernel has not ended it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(self.device.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }

    /// Returns the device that requests come from.
    #[must_use]
    pub fn device(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// Makes this process unmount the connection on drop, though another daemon began it.
    pub fn unmount_on_drop(&mut self) {
        self.mounted.unmount_on_drop();
    }

    /// Drops the connection and leaves it mounted for a successor.
    pub fn leave_mounted(self) {
        self.mounted.leave_mounted();
    }
}

/// Returns whether a request waits on that device that no worker has taken yet.
#[must_use]
pub fn has_waiting_request(device: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(device, PollFlags::POLLIN)];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    let [device] = fds;
    let events = device.revents().unwrap_or(PollFlags::empty());
    polled.is_ok() && events.contains(PollFlags::POLLIN)
}

/// Asks the kernel to send again the requests of that device that have no reply yet. Returns
/// whether the kernel can do so, which needs Linux 6.9 (`FUSE_NOTIFY_RESEND`).
#[must_use]
pub fn resend_requests(device: BorrowedFd<'_>) -> bool {
    write(device, &head(FUSE_NOTIFY_RESEND, 0)).is_ok()
}

/// Replies EIO to a request that a worker, or a daemon before this one, has taken. A later reply is
/// lost.
pub fn refuse_request(device: BorrowedFd<'_>, unique: u64) {
    // The kernel answers ENOENT for a request whose caller does not wait any more.
    let _ = write(device, &head(-libc::EIO, unique));
}

/// Builds a `struct fuse_out_header` for a reply without a body.
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
