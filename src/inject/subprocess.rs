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
fn answer(timeout: Duration, work: impl FnOnce() -> Vec<u8>) -> nix::Result<Option<Vec<u8>>> {
    ChildWork::start(work)?.answer(Instant::now() + timeout)
}

/// Work that goes on in a child process, and its answer to come.
#[derive(Debug)]
pub(super) struct ChildWork {
    child: Pid,
    reader: OwnedFd,
    frame: Vec<u8>,
}

impl ChildWork {
    /// Starts `work` in a child process, which ends with this process.
    ///
    /// The caller must have one thread only.
    ///
    /// # Errors
    /// When the kernel refuses a pipe or a child.
    pub(super) fn start(work: impl FnOnce() -> Vec<u8>) -> nix::Result<ChildWork> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let child = process::forked(|| {
            let _ = prctl::set_pdeathsig(Signal::SIGKILL);
            if replace_standard_streams().is_err() {
                return 1;
            }
            let frame = frame_of(&work());
            i32::from(write(&writer, &frame) != Ok(frame.len()))
        })?;
        Ok(ChildWork {
            child,
            reader,
            frame: Vec::new(),
        })
    }

    /// Returns the first [`MAX_ANSWER`] bytes that the work returns; `None` if the work has not returned
    /// by `deadline`, and is killed then.
    ///
    /// # Errors
    /// The errors of `poll(2)` and `read(2)`.
    pub(super) fn answer(mut self, deadline: Instant) -> nix::Result<Option<Vec<u8>>> {
        let answer = self.wait(deadline);
        if !matches!(answer, Ok(Some(_))) || !has_ended(self.child) {
            end(self.child);
        }
        answer
    }

    fn wait(&mut self, deadline: Instant) -> nix::Result<Option<Vec<u8>>> {
        loop {
            if let Some(answer) = self.receive()? {
                return Ok(answer);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match fd::readable_within(&self.reader, left) {
                Err(Errno::ETIMEDOUT) => return Ok(None),
                readable => readable?,
            }
        }
    }

    /// Reads what the child has sent. Returns the answer when it is whole, and `Some(None)` at the end of
    /// the pipe.
    fn receive(&mut self) -> nix::Result<Option<Option<Vec<u8>>>> {
        let mut buffer = [0; 4096];
        loop {
            match read(&self.reader, &mut buffer) {
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Ok(0) => return Ok(Some(None)),
                length => {
                    let received = buffer.get(..length?).unwrap_or_default();
                    self.frame.extend_from_slice(received);
                }
            }
            if let Some(answer) = answer_in(&self.frame) {
                return Ok(Some(Some(answer.to_owned())));
            }
        }
    }
}

impl AsFd for ChildWork {
    /// Returns the descriptor that is readable when the answer is there, or the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Child processes that work at the same time, each with a value that tells what it works at.
#[derive(Debug)]
pub(super) struct Children<T> {
    working: Vec<Working<T>>,
    /// Children that have sent their answers, and end by themselves.
    ending: Vec<Pid>,
}

#[derive(Debug)]
struct Working<T> {
    value: T,
    work: ChildWork,
    deadline: Instant,
}

impl<T> Children<T> {
    /// Starts `work` in a child, as [`ChildWork::start`] does. The answer must come within `timeout`.
    ///
    /// # Errors
    /// When the kernel refuses a pipe or a child: the value and the error.
    pub(super) fn start(
        &mut self,
        value: T,
        timeout: Duration,
        work: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), (T, Errno)> {
        match ChildWork::start(work) {
            Ok(work) => {
                let deadline = Instant::now() + timeout;
                self.working.push(Working {
                    value,
                    work,
                    deadline,
                });
                Ok(())
            }
            Err(error) => Err((value, error)),
        }
    }

    /// Returns the values of the children that work.
    pub(super) fn working(&self) -> impl ExactSizeIterator<Item = &T> {
        self.working.iter().map(|one| &one.value)
    }

    /// Waits until one of the children has sent its answer, has ended without one (`None`) or is late
    /// (`None`), and returns its value and the answer; `None` if no child works.
    pub(super) fn first_answer(&mut self) -> Option<(T, nix::Result<Option<Vec<u8>>>)> {
        loop {
            let deadlines = self.working.iter().map(|one| one.deadline);
            let left = deadlines.min()?.saturating_duration_since(Instant::now());
            let readers = self.working.iter().map(|one| &one.work.reader);
            let waited = fd::any_readable_within(readers, left);
            let now = Instant::now();
            let mut working = self.working.iter_mut().enumerate();
            let ended =
                working.find_map(
                    |(place, one)| match waited.and_then(|()| one.work.receive()) {
                        Ok(Some(answer)) => Some((place, Ok(answer))),
                        Ok(None) if now >= one.deadline => Some((place, Ok(None))),
                        Ok(None) => None,
                        Err(error) => Some((place, Err(error))),
                    },
                );
            self.ending.retain(|child| is_alive(*child));
            if let Some((place, answer)) = ended {
                let Working { value, work, .. } = self.working.swap_remove(place);
                match answer {
                    Ok(Some(_)) => self.ending.push(work.child),
                    _ => end(work.child),
                }
                return Some((value, answer));
            }
        }
    }
}

impl<T> Default for Children<T> {
    fn default() -> Children<T> {
        Children {
            working: Vec::new(),
            ending: Vec::new(),
        }
    }
}

impl<T> Drop for Children<T> {
    fn drop(&mut self) {
        for one in self.working.drain(..) {
            end(one.work.child);
        }
        for child in self.ending.drain(..).filter(|child| !has_ended(*child)) {
            end(child);
        }
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

/// Kills a child, and reaps it. A child that cannot be killed is left.
fn end(child: Pid) {
    let _ = kill(child, Signal::SIGKILL);
    has_ended(child);
}

/// Waits up to 10 ms for the child, and returns whether the child has ended.
fn has_ended(child: Pid) -> bool {
    // The child writes its answer just before its end. The pauses begin short, because a container's
    // start waits for this process.
    let pauses = iter::repeat_n(20, 10).chain(iter::repeat_n(200, 50));
    for pause in pauses {
        if !is_alive(child) {
            return true;
        }
        thread::sleep(Duration::from_micros(pause));
    }
    false
}

/// Returns whether the child has not ended yet, and reaps one that has.
fn is_alive(child: Pid) -> bool {
    matches!(
        waitpid(child, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive)
    )
}
