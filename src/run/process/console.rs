//! The terminal of a container: process 1 makes the terminal, and this process connects it with the
//! terminal of `plimsoll run`.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags},
    sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr},
    unistd::{Gid, Uid, fchown, isatty, read, write},
};

use crate::{
    base::sys::terminal,
    run::error::{RunError, step},
};

/// The terminal of a container.
#[derive(Debug)]
pub(crate) struct Console {
    master: OwnedFd,
    /// The input that the terminal has not yet accepted.
    input: Vec<u8>,
    /// A process of the container holds the terminal open.
    is_open: bool,
    /// Standard input is forwarded.
    reads_stdin: bool,
    _raw: Option<RawMode>,
}

impl Console {
    /// Returns the terminal with this master, which process 1 has made. Gives the terminal to `uid`,
    /// so that the command can open it by name.
    ///
    /// # Errors
    ///
    /// A terminal that cannot be prepared.
    pub(crate) fn new(master: OwnedFd, uid: u32) -> Result<Console, RunError> {
        if let Ok(peer) = terminal::open_slave(master.as_fd()) {
            let _ = fchown(&peer, Some(Uid::from_raw(uid)), None::<Gid>);
        }
        let flags = fcntl(&master, FcntlArg::F_GETFL).map_err(step("prepare the terminal"))?;
        let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
        fcntl(&master, FcntlArg::F_SETFL(flags)).map_err(step("prepare the terminal"))?;
        Ok(Console {
            master,
            input: Vec::new(),
            is_open: true,
            reads_stdin: false,
            _raw: None,
        })
    }

    /// Forwards standard input from now on; a terminal there goes into raw mode, which passes every
    /// key.
    pub(crate) fn forward_stdin(&mut self) {
        self.reads_stdin = true;
        self._raw = RawMode::set();
    }

    /// Copies the size of the terminal of `plimsoll run`, if there is one.
    pub(crate) fn copy_size(&self) {
        let outside =
            terminal::size(io::stdout().as_fd()).or_else(|_| terminal::size(io::stdin().as_fd()));
        if let Ok(size) = outside {
            let _ = terminal::resize(self.master.as_fd(), size);
        }
    }

    /// Returns the events to poll for on the terminal, and whether to poll standard input.
    pub(crate) fn interest(&self) -> (Option<PollFd<'_>>, bool) {
        let mut events = PollFlags::POLLIN;
        if !self.input.is_empty() {
            events |= PollFlags::POLLOUT;
        }
        let master = self
            .is_open
            .then(|| PollFd::new(self.master.as_fd(), events));
        (master, self.reads_stdin && self.input.is_empty())
    }

    /// Reads standard input and writes it to the terminal; stops the forwarding at the end of file.
    pub(crate) fn read_stdin(&mut self) {
        let mut bytes = [0; 4096];
        match read(io::stdin(), &mut bytes) {
            Ok(count) if count > 0 => {
                self.input.extend(bytes.iter().take(count));
                self.write_input();
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            _ => self.reads_stdin = false,
        }
    }

    /// Writes the pending input to the terminal, as much as the terminal accepts.
    pub(crate) fn write_input(&mut self) {
        match write(&self.master, &self.input) {
            Ok(count) => drop(self.input.drain(..count)),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.input.clear(),
        }
    }

    /// Prints the next output of the container; returns false if there is none for now.
    pub(crate) fn print_output(&mut self) -> bool {
        let mut bytes = [0; 16384];
        match read(&self.master, &mut bytes) {
            Ok(count) if count > 0 => {
                let _ = write_stdout(bytes.get(..count).unwrap_or_default());
                true
            }
            Err(Errno::EINTR) => true,
            Err(Errno::EAGAIN) => false,
            // The kernel answers EIO after the last process of the container has closed the
            // terminal.
            _ => {
                self.is_open = false;
                false
            }
        }
    }
}

/// Writes to the descriptor of standard output, without the buffer, which would hold back a prompt.
fn write_stdout(mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        match write(io::stdout(), bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => std::thread::sleep(std::time::Duration::from_millis(1)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns whether standard input is a terminal.
pub(crate) fn is_terminal() -> bool {
    isatty(io::stdin()).unwrap_or(false)
}

/// The raw mode of standard input. A drop restores the mode before.
struct RawMode {
    before: Termios,
}

impl std::fmt::Debug for RawMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawMode")
    }
}

impl RawMode {
    fn set() -> Option<RawMode> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw).ok()?;
        Some(RawMode { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}
