//! Processes: fork, exec, exit, and signals at their defaults.
#![allow(unsafe_code, reason = "nix lacks these calls")]

use super::{fd, pidfd, seccomp::SystemCallFilter};
use std::{
    convert::Infallible,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Child, Command},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask},
    },
    unistd::{ForkResult, Pid},
};

/// A descriptor of a parent process, with which a child can tie its life to that of the parent, in
/// any pid namespace.
#[derive(Debug)]
pub struct Lifeline(OwnedFd);

impl Lifeline {
    /// Makes a lifeline of the calling process, for its children.
    ///
    /// # Errors
    ///
    /// The errors of `pidfd_open(2)`; ENOSYS before Linux 5.3.
    pub fn of_this_process() -> nix::Result<Lifeline> {
        pidfd::of_process(nix::unistd::getpid()).map(Lifeline)
    }

    /// Asks the kernel to kill the calling process when the parent that made this lifeline dies.
    ///
    /// # Errors
    ///
    /// ESRCH when the parent is dead already: the signal would never come.
    pub fn bind(&self) -> nix::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The check follows the request, else a death in between would be missed. `getppid` cannot
        // answer: the parent of a process in another pid namespace is always 0.
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO)? {
            0 => Ok(()),
            _ => Err(Errno::ESRCH),
        }
    }
}

/// Runs `child` in a forked process, which exits with the status that `child` returns, and returns
/// the pid of the process.
///
/// # Errors
///
/// EINVAL when the calling process has more than one thread: only the calling thread exists in a
/// forked process, and locks of the other threads would stay locked for ever. The errors of
/// `fork(2)`: EAGAIN at a limit of processes.
pub fn forked(child: impl FnOnce() -> i32) -> nix::Result<Pid> {
    forked_under(None, child)
}

/// Filters the system calls of this process, and then does what [`forked`] does. The filter may
/// refuse the check of the threads, which comes before it.
///
/// # Errors
///
/// The errors of [`forked`] and of [`SystemCallFilter::apply`].
pub fn forked_under(
    filter: Option<&SystemCallFilter>,
    child: impl FnOnce() -> i32,
) -> nix::Result<Pid> {
    // `check_unshare_flags` in kernel/fork.c: the flag does nothing in a process of one thread, and
    // is refused in any other.
    unshare(CloneFlags::CLONE_THREAD)?;
    filter.map_or(Ok(()), SystemCallFilter::apply)?;
    // SAFETY: the kernel has just confirmed that this process has one thread, and only that thread
    // could start another one. So the child may do all that the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            // A panic must not lead back to the owners in the frames above: their drops would undo
            // the work of the parent.
            let status = catch_unwind(AssertUnwindSafe(child));
            exit_now(status.unwrap_or(PANICKED))
        }
    }
}

/// Ends the process at once, without the exit handlers and buffers that a forked process shares
/// with its parent.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// Closes every descriptor but standard input, output and error, runs `work` with `pid`, and ends
/// the process with the status that `work` returns.
///
/// Descriptors stay open where the kernel lacks `close_range(2)` (before Linux 5.9).
pub fn run_without_descriptors(pid: Pid, work: fn(Pid) -> i32) -> ! {
    // No owner uses a closed descriptor again: `work` is a plain function that gets no descriptor, and
    // neither a return nor a panic of `work` leads back to the owners in the frames above.
    let _ = fd::close_range(0);
    let status = catch_unwind(|| work(pid));
    exit_now(status.unwrap_or(PANICKED))
}

/// Waits up to `time` for the end of a child, and returns whether the child has ended.
pub fn has_ended_within(child: &mut Child, time: Duration) -> bool {
    let pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
    if let Some(process) = pid.and_then(|pid| pidfd::of_process(pid).ok()) {
        let _ = fd::readable_within(process, time);
    }
    !matches!(child.try_wait(), Ok(None))
}

/// The exit status of a process that panicked, as Rust's own.
const PANICKED: i32 = 101;

/// Gives every signal its default action and unblocks every signal, as a new program expects.
///
/// # Errors
///
/// The errors of `sigprocmask(2)`.
pub fn reset_signals() -> nix::Result<()> {
    reset_signals_but(&[])
}

fn reset_signals_but(blocked: &[Signal]) -> nix::Result<()> {
    for number in Signal::iterator() {
        if !matches!(number, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: the default action runs no code of this program.
            unsafe { signal(number, SigHandler::SigDfl) }?;
        }
    }
    let mut mask = SigSet::empty();
    for signal in blocked {
        mask.add(*signal);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)
}

/// Makes `command` start with every signal at its default, and with no signal blocked but those of
/// `blocked`. A child inherits the blocked signals otherwise.
pub fn with_fresh_signals<'command>(
    command: &'command mut Command,
    blocked: &'static [Signal],
) -> &'command mut Command {
    let reset = || reset_signals_but(blocked).map_err(std::io::Error::from);
    // SAFETY: between fork and exec the closure calls only `signal` and `sigprocmask`, which are
    // async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(reset) }
}

/// Closes every descriptor but standard input, output and error, and replaces this process by the
/// program at `path`; returns only when the exec fails. The process must end by [`exit_now`] then,
/// without a use of a descriptor that it had.
///
/// The kernel looks up a program and its interpreter before it closes descriptors, so a path below
/// /proc/self/fd would lead to what is open (CVE-2024-21626).
///
/// # Errors
///
/// The errors of `execve(2)`.
pub fn become_program(
    path: &std::ffi::CStr,
    args: &[std::ffi::CString],
    env: &[std::ffi::CString],
) -> nix::Result<Infallible> {
    let _ = fd::close_range(0);
    nix::unistd::execve(path, args, env)
}

/// Replaces this process by the program that `file` holds open; returns only when the exec fails.
///
/// # Errors
///
/// The errors of `execveat(2)`.
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

/// Returns the number of a signal, which a shell adds to 128 for the exit status.
#[must_use]
pub fn number(signal: Signal) -> i32 {
    signal as i32
}
