//! One daemon under watch: what it says, whether it still says something, and how it ends.

use crate::{
    base::sys::pidfd,
    serve::handover::{Descriptors, Message},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        signalfd::SignalFd,
        socket::{Shutdown, shutdown},
    },
    unistd::Pid,
};
use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

/// So long may the first daemon take until it serves.
const FIRST_START_TIMEOUT: Duration = Duration::from_secs(30);
/// So long may one take until it serves that goes on where another one stopped: readers wait.
const NEXT_START_TIMEOUT: Duration = Duration::from_secs(10);

/// One that was killed is taken for dead then, though threads of it may still be there: none of them
/// will ever run again, but one may wait in the kernel for what only the next daemon can answer.
const DEATH_TIMEOUT: Duration = Duration::from_millis(100);

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// For good, and well.
    Left,
    /// Somehow.
    Ended,
    /// It said nothing for too long, and was killed.
    Hung,
    /// It was told to end, did not, and was killed.
    Ignored,
}

/// A daemon under watch.
#[derive(Debug)]
pub(super) struct Watch<'keeper> {
    pid: Pid,
    /// Readable when it has ended; none of one that had ended before this watch began.
    life: Option<OwnedFd>,
    /// Readable when its first thread has ended, if the kernel can tell (since 6.9).
    first_thread: Option<OwnedFd>,
    daemon: &'keeper OwnedFd,
    signals: &'keeper SignalFd,
    watchdog: Duration,
    deadline: Instant,
    killed: Option<End>,
    /// Whether it was killed, by us or somebody else.
    is_dying: bool,
    is_leaving: bool,
    is_told: bool,
    is_deaf: bool,
    /// Whether readers were its own, or about to be.
    pub(super) has_served: bool,
}

impl<'keeper> Watch<'keeper> {
    /// Begins to watch; `is_first` says whether no daemon has served before it.
    pub(super) fn new(
        pid: Pid,
        daemon: &'keeper OwnedFd,
        signals: &'keeper SignalFd,
        watchdog: Duration,
        is_first: bool,
    ) -> nix::Result<Watch<'keeper>> {
        let life = match pidfd::of_process(pid) {
            Ok(life) => Some(life),
            // An adopted one, which nobody has kept as a zombie.
            Err(Errno::ESRCH) => None,
            Err(error) => return Err(error),
        };
        let until_it_serves = if is_first {
            FIRST_START_TIMEOUT
        } else {
            NEXT_START_TIMEOUT
        };
        Ok(Watch {
            pid,
            life,
            first_thread: pidfd::of_thread(pid).ok(),
            daemon,
            signals,
            watchdog,
            deadline: Instant::now() + until_it_serves.max(watchdog),
            killed: None,
            is_dying: false,
            is_leaving: false,
            is_told: false,
            is_deaf: false,
            has_served: false,
        })
    }

    /// Watches it until it has ended; what it wants to be held is put into `held`.
    pub(super) fn until_its_end(&mut self, held: &mut Descriptors) -> nix::Result<End> {
        loop {
            let Some(life) = &self.life else {
                return Ok(self.end(held));
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            let said = if self.is_deaf {
                PollFlags::empty()
            } else {
                PollFlags::POLLIN
            };
            let first_thread = self.first_thread.as_ref().unwrap_or(life);
            let mut fds = [
                PollFd::new(life.as_fd(), PollFlags::POLLIN),
                PollFd::new(first_thread.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.daemon.as_fd(), said),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            // One more: a fraction of a millisecond is no time to poll.
            let timeout = left.saturating_add(Duration::from_millis(1));
            let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => continue,
                polled => polled?,
            };
            let [life, first_thread, daemon, signals] = fds.map(|fd| fd.any() == Some(true));
            // Its last words count, even if it is dead already.
            if daemon && !self.is_deaf {
                self.listen(held);
            } else if life {
                return Ok(self.end(held));
            } else if first_thread {
                self.expect_its_end();
            }
            if signals {
                self.tell()?;
            }
            if left == Duration::ZERO {
                if self.is_dying {
                    return Ok(self.end(held));
                }
                self.kill();
            }
        }
    }

    /// How it has ended, as its last words say too. Who speaks later is told that nobody listens.
    fn end(&mut self, held: &mut Descriptors) -> End {
        let _ = shutdown(self.daemon.as_raw_fd(), Shutdown::Read);
        while !self.is_deaf {
            self.listen(held);
        }
        match self.killed {
            _ if self.is_leaving => End::Left,
            Some(end) => end,
            None if self.is_told => End::Ignored,
            None => End::Ended,
        }
    }

    fn listen(&mut self, held: &mut Descriptors) {
        // Whatever it says then, it has to end in time.
        let is_ending = self.is_told || self.is_dying || self.is_leaving;
        match Descriptors::receive(self.daemon) {
            Ok(Some((Message::Hold(_), handed))) => *held = handed,
            Ok(Some((message, _))) => {
                self.has_served |= message == Message::Serving;
                self.is_leaving |= message == Message::Leaving;
            }
            // It has closed its end: nothing more will be said.
            Ok(None) | Err(_) => self.is_deaf = true,
        }
        if !is_ending {
            self.deadline = Instant::now() + self.watchdog;
        }
    }

    /// Has it end, as we were told to.
    fn tell(&mut self) -> nix::Result<()> {
        let _ = self.signals.read_signal()?;
        let _ = kill(self.pid, Signal::SIGTERM);
        if !self.is_told && !self.is_dying {
            self.deadline = Instant::now() + self.watchdog;
        }
        self.is_told = true;
        Ok(())
    }

    fn kill(&mut self) {
        let end = if self.is_told {
            End::Ignored
        } else {
            End::Hung
        };
        self.killed = Some(end);
        let _ = kill(self.pid, Signal::SIGKILL);
        self.expect_its_end();
    }

    fn expect_its_end(&mut self) {
        self.first_thread = None;
        self.is_dying = true;
        self.deadline = Instant::now() + DEATH_TIMEOUT;
    }
}
