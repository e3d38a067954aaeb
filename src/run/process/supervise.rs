//! Waits for a container's end; until then hands on signals, what is typed, and what is printed.

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

/// The signals that are the container's; all others act on `plimsoll run` itself.
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

/// The signals that wait to be handed on, from the first step of a start: none ends it half way.
#[derive(Debug)]
pub(crate) struct Signals {
    waiting: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Holds them back until dropped.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(crate) fn hold() -> Result<Signals, RunError> {
        let mut held: SigSet = FORWARDED.iter().copied().collect();
        held.add(Signal::SIGCHLD);
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&held), Some(&mut before))
            .map_err(step("hold back signals"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let waiting = SignalFd::with_flags(&held, flags).map_err(step("hold back signals"))?;
        Ok(Signals { waiting, before })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Waits for the end of a container whose process 1 is `init`, and answers with its status.
///
/// # Errors
///
/// When the process cannot be waited for.
pub(crate) fn supervise(
    init: Pid,
    signals: &Signals,
    mut console: Option<Console>,
) -> Result<u8, RunError> {
    loop {
        if let Some(status) = ended(init)? {
            // What it wrote last is still there to be printed.
            while console.as_mut().is_some_and(Console::print) {}
            return Ok(status);
        }
        let ready = wait(signals, console.as_ref())?;
        if let Some(console) = &mut console {
            if ready.typed {
                console.take_input();
            }
            if ready.takes {
                console.hand_on();
            }
            if ready.wrote {
                console.print();
            }
        }
        while let Ok(Some(info)) = signals.waiting.read_signal() {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            match (Signal::try_from(number), &console) {
                (Ok(Signal::SIGCHLD) | Err(_), _) => {}
                (Ok(Signal::SIGWINCH), Some(console)) => console.fit(),
                (Ok(signal), _) => {
                    let _ = kill(init, signal);
                }
            }
        }
    }
}

/// What a wait ended with.
struct Ready {
    typed: bool,
    takes: bool,
    wrote: bool,
}

fn wait(signals: &Signals, console: Option<&Console>) -> Result<Ready, RunError> {
    let stdin = io::stdin();
    let (master, listens) = console.map_or((None, false), Console::waits);
    let mut fds = vec![PollFd::new(signals.waiting.as_fd(), PollFlags::POLLIN)];
    let terminal = master.map(|master| {
        fds.push(master);
        fds.len() - 1
    });
    let input = listens.then(|| {
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
    Ok(Ready {
        typed: !input.is_empty(),
        takes: terminal.contains(PollFlags::POLLOUT),
        wrote: terminal.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR),
    })
}

/// The status of a container that has ended.
fn ended(init: Pid) -> Result<Option<u8>, RunError> {
    let status = match waitpid(init, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => code,
        Ok(WaitStatus::Signaled(_, signal, _)) => 128 + process::number(signal),
        Ok(_) | Err(Errno::EINTR) => return Ok(None),
        Err(error) => return Err(step("wait for the container")(error)),
    };
    Ok(Some(u8::try_from(status).unwrap_or(u8::MAX)))
}
