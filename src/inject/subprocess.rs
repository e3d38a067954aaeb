//! Work in a child process, because it may wait for ever: for a daemon that hangs, or for a file
//! system of the container's own.

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
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

/// The maximum length of a child's answer, in bytes: a pipe takes as much without a reader.
const MAX_ANSWER: usize = 60_000;

/// Runs `work` in a child process. `None` if the work has not ended within `timeout`.
///
/// A child that waits for a file system that never answers cannot always be killed; the child holds
/// none of the files that this process was started with, so no process waits for their end.
///
/// The caller must have one thread only.
pub(super) fn run(timeout: Duration, work: impl FnOnce() -> Delivery) -> Option<Delivery> {
    match answer(timeout, || work().text()) {
        Ok(answer) => answer.map(|answer| Delivery::parse(&answer)),
        Err(error) => {
            let error = format!("cannot start a process: {}", error.desc());
            Some(Delivery::Failed(error))
        }
    }
}

/// Returns the first [`MAX_ANSWER`] bytes that `work` returns in a child; `None` if `work` has not
/// returned within `timeout`. `work` may leave threads behind that never end.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the kernel refuses a pipe or a child.
pub(super) fn answer(
    timeout: Duration,
    work: impl FnOnce() -> Vec<u8>,
) -> nix::Result<Option<Vec<u8>>> {
    ChildWork::start(work)?.answer(Instant::now() + timeout)
}

/// Work that goes on in a child process, and its answer to come.
#[derive(Debug)]
pub(super) struct ChildWork {
    child: Pid,
    reader: OwnedFd,
}

impl ChildWork {
    /// Starts `work` in a child process, which ends with this process.
    ///
    /// The caller must have one thread only.
    ///
    /// # Errors
    /// When the kernel refuses a pipe or a child.
    pub(super) fn start(work: impl FnOnce() -> Vec<u8>) -> nix::Result<ChildWork> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        let child = process::forked(|| {
            let _ = prctl::set_pdeathsig(Signal::SIGKILL);
            if replace_standard_streams().is_err() {
                return 1;
            }
            let frame = frame_of(&work());
            i32::from(write(&writer, &frame) != Ok(frame.len()))
        })?;
        Ok(ChildWork { child, reader })
    }

    /// Returns the first [`MAX_ANSWER`] bytes that the work returns; `None` if the work has not returned
    /// by `deadline`, and is killed then.
    ///
    /// # Errors
    /// The errors of `poll(2)` and `read(2)`.
    pub(super) fn answer(self, deadline: Instant) -> nix::Result<Option<Vec<u8>>> {
        let answer = read_frame(&self.reader, deadline);
        if !matches!(answer, Ok(Some(_))) || !has_ended(self.child) {
            let _ = kill(self.child, Signal::SIGKILL);
            has_ended(self.child);
        }
        answer
    }
}

impl AsFd for ChildWork {
    /// Returns the descriptor that is readable when the answer is there, or the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Returns the length of an answer and the answer: a thread of the child that never ends keeps the
/// pipe open, so the end of the pipe cannot tell the end of the answer.
fn frame_of(answer: &[u8]) -> Vec<u8> {
    let answer = answer.get(..MAX_ANSWER).unwrap_or(answer);
    let length = u32::try_from(answer.len()).unwrap_or_default();
    [&length.to_le_bytes(), answer].concat()
}

/// Returns the answer in a whole frame.
fn answer_in(frame: &[u8]) -> Option<&[u8]> {
    let (length, answer) = frame.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    answer.get(..length)
}

/// Replaces standard input, output and error by /dev/null: their reader waits until every process
/// has closed them.
fn replace_standard_streams() -> nix::Result<()> {
    let options = File::options().read(true).write(true).open("/dev/null");
    let null = options.map_err(|_| Errno::ENOENT)?;
    fd::dup_onto(std::io::stdin().as_fd(), null.as_fd())?;
    fd::dup_onto(std::io::stdout().as_fd(), null.as_fd())?;
    fd::dup_onto(std::io::stderr().as_fd(), null.as_fd())
}

/// Reads the answer in a frame; `None` if the frame is not whole by `deadline`, or at the end of the
/// pipe.
fn read_frame(from: &OwnedFd, deadline: Instant) -> nix::Result<Option<Vec<u8>>> {
    let mut frame = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(answer) = answer_in(&frame) {
            return Ok(Some(answer.to_owned()));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match fd::readable_within(from, left) {
            Err(Errno::ETIMEDOUT) => return Ok(None),
            readable => readable?,
        }
        match read(from, &mut buffer)? {
            0 => return Ok(None),
            length => frame.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// Waits up to 10 ms for the child, and returns whether the child has ended. A child that cannot be
/// killed is left.
fn has_ended(child: Pid) -> bool {
    // The child writes its answer just before its end. The pauses begin short, because a container's
    // start waits for this process.
    let pauses = iter::repeat_n(20, 10).chain(iter::repeat_n(200, 50));
    for pause in pauses {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_micros(pause)),
            Ok(_) | Err(_) => return true,
        }
    }
    false
}
