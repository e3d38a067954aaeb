//! Processes: a child by fork, a promise about the parent's death, descriptors closed at once.
#![allow(unsafe_code, reason = "nix lacks these calls")]

use std::{
    convert::Infallible,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask},
    },
    unistd::{ForkResult, Pid},
};

/// A descriptor of a process that tells whether it still lives, in any pid namespace.
#[derive(Debug)]
pub struct Lifeline(OwnedFd);

impl Lifeline {
    /// A lifeline of the calling process, to be held by its children.
    ///
    /// # Errors
    ///
    /// What `pidfd_open` answers; ENOSYS before kernel 5.3.
    pub fn of_this_process() -> nix::Result<Lifeline> {
        let pid = nix::unistd::getpid().as_raw();
        // SAFETY: `pidfd_open` takes two integers and touches no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
        // SAFETY: `pidfd_open` has just answered with this new descriptor, and nobody else owns it.
        Ok(Lifeline(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Has the kernel kill the calling process when its parent, whose lifeline this is, dies.
    ///
    /// # Errors
    ///
    /// ESRCH when the parent is dead already: the signal would never come.
    pub fn bind(&self) -> nix::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // Asked after the signal is set, else a death in between would be missed. The parent's
        // number cannot be asked instead: from another pid namespace it is always 0.
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO)? {
            0 => Ok(()),
            _ => Err(Errno::ESRCH),
        }
    }
}

/// Runs `child` in a forked process, which exits with what it returns, and answers its pid.
///
/// The caller must have one thread only: the child has no other, and their locks stay held.
///
/// # Errors
///
/// What `fork` answers: EAGAIN at a limit of processes.
pub fn forked(child: impl FnOnce() -> i32) -> nix::Result<Pid> {
    // SAFETY: the callers are single-threaded (`run` before and after the container is made), so
    // the child may do all that the parent might.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let status = child();
            exit_now(status)
        }
    }
}

/// Ends the process at once, without the handlers and buffers it shares with its parent.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// Closes every descriptor from number 3 on.
///
/// Only for a process that uses none of them any more.
///
/// # Errors
///
/// What `close_range` answers; ENOSYS before kernel 5.9.
pub fn close_all_but_stdio() -> nix::Result<()> {
    let flags: libc::c_uint = 0;
    // SAFETY: `close_range` takes integers and touches no memory; that no owner of a closed
    // descriptor uses it again is what the caller promises.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) };
    Errno::result(result).map(drop)
}

/// Gives every signal its default action and blocks none, as a new program expects it.
///
/// # Errors
///
/// What `sigprocmask` answers.
pub fn reset_signals() -> nix::Result<()> {
    for number in Signal::iterator() {
        if !matches!(number, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: the default action runs no code of ours.
            unsafe { signal(number, SigHandler::SigDfl) }?;
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Has a command start with every signal at its default and none blocked: it would inherit what is
/// blocked here.
pub fn with_fresh_signals(command: &mut Command) -> &mut Command {
    let reset = || reset_signals().map_err(std::io::Error::from);
    // SAFETY: between fork and exec the closure calls only `signal` and `sigprocmask`, which are
    // async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(reset) }
}

/// Becomes another program; returns only when that fails.
///
/// # Errors
///
/// What `execve` answers.
pub fn become_program(
    path: &std::ffi::CStr,
    args: &[std::ffi::CString],
    env: &[std::ffi::CString],
) -> nix::Result<Infallible> {
    nix::unistd::execve(path, args, env)
}

/// Becomes the program that `file` holds open; returns only when that fails.
///
/// # Errors
///
/// What `execveat` answers.
pub fn become_file(
    file: &impl AsRawFd,
    args: &[std::ffi::CString],
    env: &[std::ffi::CString],
) -> nix::Result<Infallible> {
    let fd = file.as_raw_fd();
    let pointers = |strings: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
        let mut list: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
        list.push(std::ptr::null());
        list
    };
    let (args, env) = (pointers(args), pointers(env));
    let (path, args, env) = (c"".as_ptr(), args.as_ptr(), env.as_ptr());
    // SAFETY: both lists end with a null pointer and every other entry is a live C string.
    let result =
        unsafe { libc::syscall(libc::SYS_execveat, fd, path, args, env, libc::AT_EMPTY_PATH) };
    Err(Errno::result(result).err().unwrap_or(Errno::ENOEXEC))
}

/// The number of a signal, as a shell adds it to 128.
#[must_use]
pub fn number(signal: Signal) -> i32 {
    signal as i32
}
