//! The process that holds a daemon's descriptors and has a new daemon take the place of one that
//! died or hangs. It has one thread, allocates next to nothing, and reads no file.
//!
//! Each daemon is a fork of it and so begins with the program loaded. It may itself be replaced:
//! a daemon whose keeper died starts another one, which is told everything and then watches over
//! it just so.

mod backoff;
mod watch;

use crate::{
    base::sys::{fd, process},
    serve::handover::{Descriptors, Message},
};
use backoff::Backoff;
use nix::{
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    io::Write,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};
use watch::{End, Watch};

/// The status of a daemon that was killed before it served.
const FAILED: i32 = 125;

/// What a daemon begins its life with.
#[derive(Debug)]
pub struct Start {
    /// What the one before it held; nothing at first.
    pub held: Descriptors,
    /// Where its keeper listens.
    pub keeper: OwnedFd,
    /// What it is there for.
    pub purpose: Purpose,
}

/// What a daemon is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve.
    Serve,
    /// To end what it holds: the keeper was told to end, and the daemon before did not.
    End,
}

/// A daemon that already lives.
#[derive(Debug)]
pub struct Adopted {
    /// Its pid.
    pub pid: Pid,
    /// Where it speaks.
    pub daemon: OwnedFd,
}

/// Keeps daemons alive until one of them leaves for good, and answers its exit status. A daemon
/// that says nothing for `watchdog` is killed; `live` is the life of one, up to its exit status.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the kernel refuses what a keeper needs.
pub fn keep(
    watchdog: Duration,
    mut adopted: Option<Adopted>,
    live: impl Fn(Start) -> i32,
) -> nix::Result<i32> {
    let told = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    told.thread_block()?;
    let signals = SignalFd::with_flags(&told, SfdFlags::SFD_CLOEXEC)?;
    let mut held = Descriptors::default();
    let mut backoff = Backoff::default();
    let mut purpose = Purpose::Serve;
    // One that was adopted has served.
    let mut has_served = adopted.is_some();
    loop {
        let born = Instant::now();
        let (pid, daemon) = match adopted.take() {
            Some(adopted) => (adopted.pid, adopted.daemon),
            None => {
                bury();
                begin(&mut held, purpose, &live)?
            }
        };
        let mut watch = Watch::new(pid, &daemon, &signals, watchdog, !has_served)?;
        let end = watch.until_its_end(&mut held)?;
        has_served |= watch.has_served;
        let status = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        match end {
            // It may be lingering, or have been killed since.
            End::Left => return Ok(code(status).unwrap_or(0)),
            _ if purpose == Purpose::End => return Ok(code(status).unwrap_or(FAILED)),
            End::Ended | End::Hung if !has_served => return Ok(code(status).unwrap_or(FAILED)),
            End::Ignored => {
                stay(&daemon);
                purpose = Purpose::End;
            }
            End::Hung => {
                stay(&daemon);
                say("the daemon hung and was killed: another one takes its place");
            }
            End::Ended => {
                stay(&daemon);
                let was_killed = matches!(
                    status,
                    Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _) | WaitStatus::StillAlive)
                );
                let pause = backoff.pause(was_killed && watch.has_served, born.elapsed());
                say("the daemon ended: another one takes its place");
                std::thread::sleep(pause);
            }
        }
    }
}

/// Lets whoever is about to replace the daemon that has ended know that another one follows.
fn stay(daemon: &OwnedFd) {
    let _ = Descriptors::say(daemon, &Message::ServesOn);
}

/// Takes note of the end of daemons that were still dying when they were given up.
fn bury() {
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
}

fn begin(
    held: &mut Descriptors,
    purpose: Purpose,
    live: &impl Fn(Start) -> i32,
) -> nix::Result<(Pid, OwnedFd)> {
    let (ours, theirs) = fd::pair()?;
    let pid = process::forked(|| {
        // No frame of the keeper may run on in the daemon.
        catch_unwind(AssertUnwindSafe(|| {
            let _ = nix::unistd::close(std::os::fd::AsRawFd::as_raw_fd(&ours));
            live(Start {
                held: std::mem::take(held),
                keeper: theirs.try_clone().unwrap_or(theirs),
                purpose,
            })
        }))
        .unwrap_or(FAILED)
    })?;
    Ok((pid, ours))
}

/// The exit status of a child, if it ended by itself and was one.
fn code(status: nix::Result<WaitStatus>) -> Option<i32> {
    match status {
        Ok(WaitStatus::Exited(_, code)) => Some(code),
        _ => None,
    }
}

/// One line on standard error, which may be gone.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "plimsoll: {line}");
}
