//! The signals that end the demo early. They are blocked until the demo waits, so that none ends the
//! demo before its containers are removed.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};

/// A signal that ends the demo.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the demo was ended by {0}")]
pub(super) struct Interrupted(pub(super) Signal);

/// The blocked signals that end the demo.
#[derive(Debug)]
pub(super) struct Interrupts(SignalFd);

const END_SIGNALS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

impl Interrupts {
    /// Blocks the signals.
    pub(super) fn block() -> nix::Result<Interrupts> {
        let signals: SigSet = END_SIGNALS.into_iter().collect();
        signals.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&signals, flags).map(Interrupts)
    }

    /// Waits for that time.
    pub(super) fn sleep(&self, time: Duration) -> anyhow::Result<()> {
        self.wait(None, Some(Instant::now() + time))
    }

    /// Waits until `fd` can be read, or has ended.
    pub(super) fn until_readable(&self, fd: BorrowedFd<'_>) -> anyhow::Result<()> {
        self.wait(Some(fd), None)
    }

    fn wait(&self, fd: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> anyhow::Result<()> {
        loop {
            let timeout = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = timeout.map_or(PollTimeout::NONE, |left| {
                // A rest below a millisecond is a whole one, else the loop would not sleep.
                let left = left.as_micros().div_ceil(1000);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = vec![PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            fds.extend(fd.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let mut ready = fds.iter().map(|fd| fd.any().unwrap_or_default());
            if ready.next().unwrap_or_default() {
                self.take()?;
            }
            let is_over = deadline.is_some_and(|end| Instant::now() >= end);
            if is_over || ready.next().unwrap_or_default() {
                return Ok(());
            }
        }
    }

    /// Returns the signal that has come, as an error.
    fn take(&self) -> anyhow::Result<()> {
        let Some(info) = self.0.read_signal()? else {
            return Ok(());
        };
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        Err(Interrupted(Signal::try_from(number)?).into())
    }
}
