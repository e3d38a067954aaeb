//! The keeper: a process that holds a daemon's descriptors, and starts another daemon when that one
//! dies or hangs. A keeper has one thread, allocates little, and reads no file.
//!
//! A daemon is a fork of its keeper, and so starts with the program loaded, except an adopted daemon:
//! a daemon whose keeper died starts a new keeper, sends it every descriptor, and is watched by the
//! new keeper from then on.

mod backoff;
mod exiting;
mod watch;

use crate::{
    base::{output::complain, respawn::END_SIGNALS, sys::process},
    serve::handover::{Channel, Descriptors, Message},
};
pub use backoff::Backoff;
use exiting::Exiting;
use nix::{
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    os::fd::{AsFd, AsRawFd},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};
use watch::{DaemonEnd, Timeouts, Watch};

/// The exit status of a keeper whose daemon was killed before it served.
const FAILED: i32 = 125;

/// The descriptors, the channel and the task with which a daemon starts.
#[derive(Debug)]
pub struct Start {
    /// The descriptors of the daemon before; empty for the first one.
    pub descriptors: Descriptors,
    /// The channel to the keeper.
    pub keeper: Channel,
    /// The task of the daemon.
    pub purpose: Purpose,
}

/// The task of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Serve.
    Serve,
    /// Unmount the connections of the descriptors: a signal ends the keeper, and the daemon before
    /// did not end in time.
    Unmount,
}

/// A daemon that was started by another keeper, which has died.
#[derive(Debug)]
pub struct Adopted {
    /// The pid of the daemon.
    pub pid: Pid,
    /// The channel to the daemon.
    pub channel: Channel,
}

/// Keeps a daemon alive until one ends for good, and returns the exit status of that one. The first
/// daemon is `adopted`, or a fork that runs `live` up to its exit status; every later one is a fork.
/// A daemon that sends nothing for `watchdog` is killed.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the kernel refuses a signal descriptor, a pidfd, a channel or a fork.
pub fn keep(
    watchdog: Duration,
    mut adopted: Option<Adopted>,
    live: impl Fn(Start) -> i32,
) -> nix::Result<i32> {
    let end_signals = SigSet::from_iter(END_SIGNALS);
    end_signals.thread_block()?;
    let signals = SignalFd::with_flags(&end_signals, SfdFlags::SFD_CLOEXEC)?;
    let mut descriptors = Descriptors::default();
    let mut exiting = Exiting::default();
    let mut backoff = Backoff::default();
    let mut purpose = Purpose::Serve;
    // An adopted daemon has served.
    let mut has_served = adopted.is_some();
    loop {
        let start = Instant::now();
        let (pid, mut channel) = match adopted.take() {
            Some(adopted) => (adopted.pid, adopted.channel),
            None => fork_daemon(&mut descriptors, purpose, &live)?,
        };
        let timeouts = Timeouts::new(watchdog, has_served);
        let mut watch = Watch::new(pid, &mut channel, &signals, timeouts)?;
        let end = watch.until_end(&mut descriptors, &mut exiting)?;
        let served_itself = watch.has_served;
        has_served |= served_itself;
        let status = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        exiting.add(pid, status);
        match end {
            // The process may still be exiting, or may have been killed since.
            DaemonEnd::Left => return Ok(exit_status(status).unwrap_or(0)),
            _ if purpose == Purpose::Unmount => return Ok(exit_status(status).unwrap_or(FAILED)),
            DaemonEnd::Ended | DaemonEnd::Hung if !has_served => {
                return Ok(exit_status(status).unwrap_or(FAILED));
            }
            DaemonEnd::Ignored => {
                announce_next(&channel);
                purpose = Purpose::Unmount;
            }
            DaemonEnd::Hung => {
                announce_next(&channel);
                complain("the daemon hung and was killed: another one takes its place");
            }
            DaemonEnd::Ended => {
                announce_next(&channel);
                let lived = start.elapsed();
                let is_blameless = served_itself && is_blameless(status, lived >= watchdog / 2);
                let pause = backoff.pause(is_blameless, lived);
                complain("the daemon ended: another one takes its place");
                std::thread::sleep(pause);
            }
        }
    }
}

/// Tells a successor that is about to replace the dead daemon that the next daemon of this keeper
/// serves on. The message stays in the channel for every successor that asks.
fn announce_next(channel: &Channel) {
    let _ = channel.send(Message::ServesOn);
}

fn fork_daemon(
    descriptors: &mut Descriptors,
    purpose: Purpose,
    live: &impl Fn(Start) -> i32,
) -> nix::Result<(Pid, Channel)> {
    let (ours, theirs) = Channel::pair()?;
    let pid = process::forked(|| {
        // No frame of the keeper may run on in the daemon.
        catch_unwind(AssertUnwindSafe(|| {
            let _ = nix::unistd::close(ours.as_fd().as_raw_fd());
            live(Start {
                descriptors: std::mem::take(descriptors),
                keeper: theirs,
                purpose,
            })
        }))
        .unwrap_or(FAILED)
    })?;
    Ok((pid, ours))
}

/// Returns the exit status of a child that exited by itself. `None` for one that was killed, that
/// still runs, or that is no child of this process.
fn exit_status(status: nix::Result<WaitStatus>) -> Option<i32> {
    match status {
        Ok(WaitStatus::Exited(_, code)) => Some(code),
        _ => None,
    }
}

/// Returns whether the end of a daemon does not repeat by itself: it was killed, or it ended itself
/// over a request that hung, which the next daemon does not get. Such a request is found out after
/// half of the watchdog time at the earliest; `has_lived` is true for a daemon that lived that long.
fn is_blameless(status: nix::Result<WaitStatus>, has_lived: bool) -> bool {
    match status {
        Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _) | WaitStatus::StillAlive) => true,
        Ok(WaitStatus::Signaled(_, Signal::SIGABRT, _)) => has_lived,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_over_a_request_that_hung_is_followed_as_fast_as_a_kill() {
        let ended_by = |signal| Ok(WaitStatus::Signaled(Pid::this(), signal, false));
        assert!(is_blameless(ended_by(Signal::SIGKILL), false));
        assert!(is_blameless(ended_by(Signal::SIGABRT), true));
        // An abort at once would repeat without an end.
        assert!(!is_blameless(ended_by(Signal::SIGABRT), false));
        assert!(!is_blameless(ended_by(Signal::SIGSEGV), true));
    }
}
