//! The watch over one daemon: messages, silence, and end.

use super::exiting::Exiting;
use crate::{
    base::sys::{fd, pidfd},
    serve::handover::{Channel, Descriptors, Message, Name, Received},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        signalfd::SignalFd,
    },
    unistd::Pid,
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

/// The maximum time until the first daemon of a keeper serves.
const FIRST_START_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum time until a later daemon serves: readers wait for that one.
const NEXT_START_TIMEOUT: Duration = Duration::from_secs(10);

/// The time after which a killed daemon counts as dead, though threads of it may be left: no such
/// thread runs again, but one may wait in the kernel for an answer that only the next daemon gives.
const DEATH_TIMEOUT: Duration = Duration::from_millis(100);

/// The interval at which the keeper examines the connections. The keeper does not wait for their
/// end, because each request would wake the keeper.
const CONNECTION_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum time from the end of a connection, which a daemon that works notices too, to the end
/// of the daemon.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DaemonEnd {
    /// The daemon announced that it ends for good.
    Left,
    /// The daemon ended for any other reason.
    Ended,
    /// The daemon sent nothing for too long, and was killed.
    Hung,
    /// The daemon got SIGTERM, and did not end properly.
    Ignored,
}

/// The times that a daemon may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// The maximum time until the first message.
    start: Duration,
    /// The maximum time from one message to the next.
    watchdog: Duration,
}

impl Timeouts {
    /// Returns the timeouts of the next daemon. `has_served` is true if a daemon before has served.
    pub(super) fn new(watchdog: Duration, has_served: bool) -> Timeouts {
        let start = match has_served {
            true => NEXT_START_TIMEOUT,
            false => FIRST_START_TIMEOUT,
        };
        Timeouts {
            start: start.max(watchdog),
            watchdog,
        }
    }
}

/// A daemon under watch.
#[derive(Debug)]
pub(super) struct Watch<'keeper> {
    pid: Pid,
    /// A pidfd, readable when the daemon has ended; `None` if that was before this watch began.
    process: Option<OwnedFd>,
    /// A pidfd of the first thread, readable when that thread has ended (Linux 6.9 and later).
    first_thread: Option<OwnedFd>,
    channel: &'keeper mut Channel,
    signals: &'keeper SignalFd,
    watchdog: Duration,
    deadline: Instant,
    /// The end of the daemon: [`DaemonEnd::Ended`] unless a message or an event decides otherwise.
    end: DaemonEnd,
    /// True once the daemon was killed, by the keeper or by another process.
    is_dying: bool,
    /// True once the kernel has ended a connection of the daemon.
    is_disconnected: bool,
    /// True once the daemon has closed its end of the channel.
    is_closed: bool,
    /// True once the daemon has sent [`Message::Serving`]: readers are waiting for an answer.
    pub(super) has_served: bool,
}

impl<'keeper> Watch<'keeper> {
    /// Begins to watch the daemon with this pid, which sends on `channel`. A signal on `signals`
    /// ends the keeper.
    ///
    /// # Errors
    /// The errors of `pidfd_open(2)`, except that a daemon may be dead already.
    pub(super) fn new(
        pid: Pid,
        channel: &'keeper mut Channel,
        signals: &'keeper SignalFd,
        timeouts: Timeouts,
    ) -> nix::Result<Watch<'keeper>> {
        let process = match pidfd::of_process(pid) {
            Ok(process) => Some(process),
            // An adopted daemon that has died was reaped by its parent.
            Err(Errno::ESRCH) => None,
            Err(error) => return Err(error),
        };
        Ok(Watch {
            pid,
            process,
            first_thread: pidfd::of_thread(pid).ok(),
            channel,
            signals,
            watchdog: timeouts.watchdog,
            deadline: Instant::now() + timeouts.start,
            end: DaemonEnd::Ended,
            is_dying: false,
            is_disconnected: false,
            is_closed: false,
            has_served: false,
        })
    }

    /// Watches the daemon until it has ended. Each whole set of descriptors that the daemon sends
    /// replaces `descriptors`. Reaps daemons of before within a second of their end.
    ///
    /// # Errors
    /// The errors of `poll(2)`.
    pub(super) fn until_end(
        &mut self,
        descriptors: &mut Descriptors,
        exiting: &mut Exiting,
    ) -> nix::Result<DaemonEnd> {
        loop {
            exiting.reap();
            let Some(process) = &self.process else {
                return Ok(self.conclude(descriptors));
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            let messages = if self.is_closed {
                PollFlags::empty()
            } else {
                PollFlags::POLLIN
            };
            let first_thread = self.first_thread.as_ref().unwrap_or(process);
            let mut fds = [
                PollFd::new(process.as_fd(), PollFlags::POLLIN),
                PollFd::new(first_thread.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.channel.as_fd(), messages),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            let timeout = left.min(CONNECTION_CHECK_INTERVAL);
            match poll(&mut fds, fd::poll_timeout(timeout)) {
                Err(Errno::EINTR) => continue,
                polled => polled?,
            };
            let [process, first_thread, channel, signals] = fds.map(|fd| fd.any() == Some(true));
            // The last messages of a daemon count, even if the daemon is dead already.
            if channel && !self.is_closed {
                self.receive(descriptors);
            } else if process {
                return Ok(self.conclude(descriptors));
            } else if first_thread {
                self.expect_death();
            }
            if signals {
                self.forward_signal()?;
            }
            self.expect_end_without_connection(descriptors);
            if left == Duration::ZERO {
                if self.is_dying {
                    return Ok(self.conclude(descriptors));
                }
                self.kill();
            }
        }
    }

    /// Gives a daemon whose connection the kernel has ended a short time to end.
    fn expect_end_without_connection(&mut self, descriptors: &Descriptors) {
        // A daemon that starts has the connections of the one before, which it may have to give up.
        if !self.has_served || self.is_dying || self.is_disconnected {
            return;
        }
        if descriptors.iter().any(|(name, fd)| is_ended(name, fd)) {
            self.is_disconnected = true;
            self.deadline = self.deadline.min(Instant::now() + DISCONNECT_TIMEOUT);
        }
    }

    /// Receives the last messages of the daemon, and returns the end that follows from them. A
    /// process that sends later gets EPIPE.
    fn conclude(&mut self, descriptors: &mut Descriptors) -> DaemonEnd {
        let _ = self.channel.stop_reading();
        while !self.is_closed {
            self.receive(descriptors);
        }
        self.end
    }

    /// Receives one packet. Never waits for the rest of a set of descriptors: a daemon that hangs or
    /// dies in the midst of one leaves `descriptors` as they were.
    fn receive(&mut self, descriptors: &mut Descriptors) {
        // The deadline of a daemon that ends does not move, whatever the daemon sends.
        let is_ending = self.end != DaemonEnd::Ended || self.is_dying || self.is_disconnected;
        match self.channel.recv_packet() {
            Ok(Some(Received::Descriptors(all))) => *descriptors = all,
            Ok(Some(Received::Part)) => {}
            Ok(Some(Received::Message(message))) => {
                self.has_served |= message == Message::Serving;
                if message == Message::Leaving {
                    self.end = DaemonEnd::Left;
                }
            }
            Ok(None) | Err(_) => self.is_closed = true,
        }
        if !is_ending {
            self.deadline = Instant::now() + self.watchdog;
        }
    }

    /// Passes a signal that ends the keeper on to the daemon, as SIGTERM.
    fn forward_signal(&mut self) -> nix::Result<()> {
        let _ = self.signals.read_signal()?;
        let _ = kill(self.pid, Signal::SIGTERM);
        if self.end == DaemonEnd::Ended {
            self.end = DaemonEnd::Ignored;
            if !self.is_dying {
                self.deadline = Instant::now() + self.watchdog;
            }
        }
        Ok(())
    }

    fn kill(&mut self) {
        if self.end == DaemonEnd::Ended {
            self.end = DaemonEnd::Hung;
        }
        let _ = kill(self.pid, Signal::SIGKILL);
        self.expect_death();
    }

    fn expect_death(&mut self) {
        self.first_thread = None;
        self.is_dying = true;
        self.deadline = Instant::now() + DEATH_TIMEOUT;
    }
}

/// Returns whether a descriptor is the device of a connection that the kernel has ended
/// (`fuse_dev_poll` in `fs/fuse/dev.c`).
fn is_ended(name: &Name, fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    matches!(name, Name::Device(_))
        && poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::packet;
    use nix::sys::{signal::SigSet, signalfd::SfdFlags};
    use std::fs::File;

    #[test]
    fn a_daemon_that_dies_between_two_packets_leaves_the_set_before() {
        let null = File::open("/dev/null").unwrap();
        let signals = SignalFd::with_flags(&SigSet::empty(), SfdFlags::SFD_CLOEXEC).unwrap();
        let (daemon, mut keeper) = Channel::pair().unwrap();
        let timeouts = Timeouts::new(Duration::ZERO, false);
        let mut watch = Watch::new(Pid::this(), &mut keeper, &signals, timeouts).unwrap();
        let mut descriptors = Descriptors::default();
        descriptors.add(Name::Lock, &null).unwrap();
        packet::send(&daemon, b"part 0/3 state direct", &[null.as_fd(); 2]).unwrap();
        packet::send(&daemon, b"serving", &[]).unwrap();
        drop(daemon);
        assert_eq!(watch.conclude(&mut descriptors), DaemonEnd::Ended);
        assert!(watch.has_served);
        assert!(descriptors.iter().map(|(name, _)| name).eq([&Name::Lock]));
    }
}
