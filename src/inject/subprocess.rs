//! Work in a child process, for it may have to wait for ever: for a daemon that hangs, or for a
//! file system of the container's own.

use super::deliver::Delivery;
use crate::base::sys::{fd, process};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, pipe2, read, write},
};
use std::{
    fs::File,
    iter,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

/// So long is what a child says at most: what a pipe takes without anybody reading.
const LONGEST: usize = 60_000;

/// What `work` has said within that time, at most 60 kB of it; `None` if it has not ended by then.
///
/// A child that waits for a file system that never answers cannot always be ended; it holds nothing
/// that this process was started with, so nobody waits for it.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the kernel refuses a pipe or a child.
fn within(timeout: Duration, work: impl FnOnce() -> Vec<u8>) -> nix::Result<Option<Vec<u8>>> {
    let (hears, says) = pipe2(OFlag::O_CLOEXEC)?;
    let child = process::forked(|| {
        let _ = prctl::set_pdeathsig(Signal::SIGKILL);
        if leave_what_others_wait_for().is_err() {
            return 1;
        }
        let said = work();
        let said = said.get(..LONGEST).unwrap_or(&said);
        i32::from(write(&says, said) != Ok(said.len()))
    })?;
    drop(says);
    let said = hear(&hears, Instant::now() + timeout);
    if !matches!(said, Ok(Some(_))) {
        let _ = kill(child, Signal::SIGKILL);
    }
    let is_well = has_ended(child);
    Ok(said?.filter(|_| is_well))
}

/// [`within`] for work that brings a container its files, or takes them away.
pub(super) fn delivered(timeout: Duration, work: impl FnOnce() -> Delivery) -> Option<Delivery> {
    match within(timeout, || work().text()) {
        Ok(said) => said.map(|said| Delivery::parse(&said)),
        Err(error) => Some(Delivery::Failed(format!("no process: {}", error.desc()))),
    }
}

/// Standard input, output and error: whoever reads them waits until nobody has them any more.
fn leave_what_others_wait_for() -> nix::Result<()> {
    let options = File::options().read(true).write(true).open("/dev/null");
    let nothing = options.map_err(|_| Errno::ENOENT)?;
    fd::dup_onto(std::io::stdin().as_fd(), nothing.as_fd())?;
    fd::dup_onto(std::io::stdout().as_fd(), nothing.as_fd())?;
    fd::dup_onto(std::io::stderr().as_fd(), nothing.as_fd())
}

fn hear(from: &OwnedFd, until: Instant) -> nix::Result<Option<Vec<u8>>> {
    let mut said = Vec::new();
    let mut room = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match fd::readable_within(from, left) {
            Err(Errno::ETIMEDOUT) => return Ok(None),
            readable => readable?,
        }
        match read(from, &mut room)? {
            0 => return Ok(Some(said)),
            length => said.extend_from_slice(room.get(..length).unwrap_or_default()),
        }
    }
}

/// Whether the child has done all it should; one that cannot be ended is left.
fn has_ended(child: Pid) -> bool {
    // It has let its pipe go, as it does just before its end: a container's start waits for this.
    let pauses = iter::repeat_n(20, 10).chain(iter::repeat_n(200, 50));
    for pause in pauses {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_micros(pause)),
            Ok(WaitStatus::Exited(_, status)) => return status == 0,
            Ok(_) | Err(_) => return false,
        }
    }
    false
}
