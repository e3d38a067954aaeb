//! A container's terminal: made in the container, driven by the one `plimsoll run` was started on.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
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
    run::error::{RunError, at, step},
};

/// Where libcontainer sends the terminal it makes.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens in a container's place.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub(crate) fn listen(place: &Path) -> Result<Socket, RunError> {
        let path = place.join("tty");
        let listener = UnixListener::bind(&path).map_err(at("listen on", &path))?;
        Ok(Socket { listener, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The terminal, once the container is made; it belongs to `uid` from then on, so that the
    /// command can open it by its name.
    ///
    /// # Errors
    ///
    /// When none was sent.
    pub(crate) fn receive(self, uid: u32) -> Result<Console, RunError> {
        let (stream, _) = self
            .listener
            .accept()
            .map_err(at("accept on", &self.path))?;
        let master = terminal::received(&stream).map_err(step("receive the terminal"))?;
        if let Ok(peer) = terminal::peer(master.as_fd()) {
            let _ = fchown(&peer, Some(Uid::from_raw(uid)), None::<Gid>);
        }
        let flags = fcntl(&master, FcntlArg::F_GETFL).map_err(step("prepare the terminal"))?;
        let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
        fcntl(&master, FcntlArg::F_SETFL(flags)).map_err(step("prepare the terminal"))?;
        Ok(Console {
            master,
            input: Vec::new(),
            open: true,
            listens: false,
            _raw: None,
        })
    }
}

/// A container's terminal.
#[derive(Debug)]
pub(crate) struct Console {
    master: OwnedFd,
    /// What was typed and not yet taken.
    input: Vec<u8>,
    /// Whether the container's side is open.
    open: bool,
    /// Whether standard input is read.
    listens: bool,
    _raw: Option<Raw>,
}

impl Console {
    /// Hands standard input on from now on; if that is a terminal, every key as it is typed.
    pub(crate) fn listen(&mut self) {
        self.listens = true;
        self._raw = Raw::set();
    }

    /// Makes it as large as the terminal outside; nothing where there is none.
    pub(crate) fn fit(&self) {
        let outside =
            terminal::size(io::stdout().as_fd()).or_else(|_| terminal::size(io::stdin().as_fd()));
        if let Ok(size) = outside {
            let _ = terminal::resize(self.master.as_fd(), size);
        }
    }

    /// What to wait for, of the terminal and of standard input.
    pub(crate) fn waits(&self) -> (Option<PollFd<'_>>, bool) {
        let mut events = PollFlags::POLLIN;
        if !self.input.is_empty() {
            events |= PollFlags::POLLOUT;
        }
        let master = self.open.then(|| PollFd::new(self.master.as_fd(), events));
        (master, self.listens && self.input.is_empty())
    }

    /// Takes what was typed; at its end, no more.
    pub(crate) fn take_input(&mut self) {
        let mut bytes = [0; 4096];
        match read(io::stdin(), &mut bytes) {
            Ok(count) if count > 0 => {
                self.input.extend(bytes.iter().take(count));
                self.hand_on();
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            _ => self.listens = false,
        }
    }

    /// Hands on what was typed, as far as it is taken.
    pub(crate) fn hand_on(&mut self) {
        match write(&self.master, &self.input) {
            Ok(count) => drop(self.input.drain(..count)),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.input.clear(),
        }
    }

    /// Prints what the container wrote; false when there is no more for now.
    pub(crate) fn print(&mut self) -> bool {
        let mut bytes = [0; 16384];
        match read(&self.master, &mut bytes) {
            Ok(count) if count > 0 => {
                let _ = printed(bytes.get(..count).unwrap_or_default());
                true
            }
            Err(Errno::EINTR) => true,
            Err(Errno::EAGAIN) => false,
            // The kernel answers EIO when the last process has closed its side.
            _ => {
                self.open = false;
                false
            }
        }
    }
}

/// Writes to standard output itself: a buffer would hold back a prompt.
fn printed(mut bytes: &[u8]) -> nix::Result<()> {
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

/// Whether standard input is a terminal.
pub(crate) fn is_terminal() -> bool {
    isatty(io::stdin()).unwrap_or(false)
}

/// The outer terminal as it was, set again when dropped.
struct Raw(Termios);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raw")
    }
}

impl Raw {
    fn set() -> Option<Raw> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw).ok()?;
        Some(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}
