//! The wait for the end of a container, with signals, input and output forwarded until then.

use std::{io, os::fd::AsFd};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{
    base::sys::process,
    run::{
        error::{RunError, step},
        process::console::Console,
    },
};

/// The signals that the container gets. All other signals act on `plimsoll run` itself.
const FORWARDED: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
];

/// The signals for the container, blocked from the first step of a start: no signal ends a start
/// half way. A drop unblocks them.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks the signals for the container, and SIGCHLD.
    ///
    /// # Errors
    ///
    /// The errors of `sigprocmask(2)` and `signalfd(2)`.
    pub(crate) fn block() -> Result<Signals, RunError> {
        let mut blocked: SigSet = FORWARDED.iter().copied().collect();
        blocked.add(Signal::SIGCHLD);
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut before))
            .map_err(step("block signals"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&blocked, flags).map_err(step("block signals"))?;
        Ok(Signals { fd, before })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Waits for the end of process 1 of a container, `init`, and returns its status.
///
/// # Errors
///
/// A failed `poll(2)` or `waitpid(2)`.
pub(crate) fn supervise(
    init: Pid,
    signals: &Signals,
    mut console: Option<Console>,
) -> Result<u8, RunError> {
    loop {
        if let Some(status) = exit_status(init)? {
            // The terminal may still hold the last output.
            while console.as_mut().is_some_and(Console::print_output) {}
            return Ok(status);
        }
        let ready = wait(signals, console.as_ref())?;
        if let Some(console) = &mut console {
            if ready.stdin {
                console.read_stdin();
            }
            if ready.terminal_input {
                console.write_input();
            }
            if ready.terminal_output {
                console.print_output();
            }
        }
        while let Ok(Some(info)) = signals.fd.read_signal() {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            match (Signal::try_from(number), &console) {
                (Ok(Signal::SIGCHLD) | Err(_), _) => {}
                (Ok(Signal::SIGWINCH), Some(console)) => console.copy_size(),
                (Ok(signal), _) => {
                    let _ = kill(init, signal);
                }
            }
        }
    }
}

/// The streams that are ready after a poll.
struct ReadyStreams {
    /// Standard input can be read.
    stdin: bool,
    /// The terminal accepts input.
    terminal_input: bool,
    /// The terminal has output.
    terminal_output: bool,
}

fn wait(signals: &Signals, console: Option<&Console>) -> Result<ReadyStreams, RunError> {
    let stdin = io::stdin();
    let (master, reads_stdin) = console.map_or((None, false), Console::interest);
    let mut fds = vec![PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN)];
    let terminal = master.map(|master| {
        fds.push(master);
        fds.len() - 1
    });
    let input = reads_stdin.then(|| {
        fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        fds.len() - 1
    });
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(step("wait for the container")(error)),
    }
    let events = |at: Option<usize>| at.and_then(|at| fds.get(at)?.revents());
    let terminal = events(terminal).unwrap_or(PollFlags::empty());
    let input = events(input).unwrap_or(PollFlags::empty());
    Ok(ReadyStreams {
        stdin: !input.is_empty(),
        terminal_input: terminal.contains(PollFlags::POLLOUT),
        terminal_output: terminal
            .intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR),
    })
}

/// Returns the status of process 1 if it has ended: its exit status, or 128 and the signal's
/// number.
fn exit_status(init: Pid) -> Result<Option<u8>, RunError> {
    let status = match waitpid(init, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => code,
        Ok(WaitStatus::Signaled(_, signal, _)) => 128 + process::number(signal),
        Ok(_) | Err(Errno::EINTR) => return Ok(None),
        Err(error) => return Err(step("wait for the container")(error)),
    };
    Ok(Some(u8::try_from(status).unwrap_or(u8::MAX)))
}
