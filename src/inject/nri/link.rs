//! The connection to a runtime, which never blocks.

use super::{
    conversation::{Conversation, Heard},
    error::WireError,
    messages::NriRuntime,
};
use crate::base::sys::ReadError;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

/// The name of the plugin.
const NAME: &str = "plimsoll";

/// The turn of the plugin: after those that change containers.
const INDEX: &str = "90";

/// The time after which a runtime drops a plugin that has not answered, unless the runtime says so.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The number of bytes that are read at once.
const MAX_READ: usize = 64 << 10;

/// The end of a connection to a runtime.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The runtime cannot be reached, or the connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The runtime has closed the connection.
    #[error("the runtime has closed the connection")]
    Closed,
    /// The runtime has sent what no runtime sends.
    #[error("the runtime speaks no NRI")]
    Wire(#[from] WireError),
    /// The runtime does not take the plugin.
    #[error("the runtime has refused the plugin: {0}")]
    Refused(String),
    /// The machine cannot be read.
    #[error("cannot read this machine")]
    Machine(#[from] ReadError),
    /// The runtime may have dropped the plugin without a word.
    #[error("the answer to the list of containers may have been late")]
    Late,
}

/// A connection to a runtime.
#[derive(Debug)]
pub(super) struct RuntimeLink {
    stream: UnixStream,
    conversation: Conversation,
    runtime: Option<NriRuntime>,
    /// The time at which the runtime has introduced itself, before its first list.
    configured_at: Option<Instant>,
    may_be_late: bool,
    is_registered: bool,
    is_announced: bool,
    /// The time of the connection.
    since: Instant,
}

impl RuntimeLink {
    /// Connects to the socket of a runtime, and begins the registration.
    ///
    /// # Errors
    /// The errors of `connect(2)`: ENOENT without a runtime that has NRI, EAGAIN if too many plugins wait.
    pub(super) fn connect(path: &Path) -> Result<RuntimeLink, LinkError> {
        // A connect that blocks would wait for as long as the runtime is busy with other plugins.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None);
        let fd = fd.map_err(io::Error::from)?;
        let address = UnixAddr::new(path).map_err(io::Error::from)?;
        connect(fd.as_raw_fd(), &address).map_err(io::Error::from)?;
        let mut link = RuntimeLink {
            stream: fd.into(),
            conversation: Conversation::new(NAME, INDEX),
            runtime: None,
            configured_at: None,
            may_be_late: false,
            is_registered: false,
            is_announced: false,
            since: Instant::now(),
        };
        link.flush()?;
        Ok(link)
    }

    /// Sends the answers that wait, then reads what is there, and answers as much as needs no work in a
    /// container. Returns what the runtime said.
    ///
    /// # Errors
    /// When the connection cannot be used any longer.
    pub(super) fn read(&mut self) -> Result<Vec<Heard>, LinkError> {
        self.flush()?;
        if self.has_output() {
            return Ok(Vec::new());
        }
        let mut buffer = vec![0; MAX_READ];
        let length = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(LinkError::Closed),
            Ok(length) => length,
            Err(error) if is_transient(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        let heard = self.conversation.read(bytes)?;
        self.flush()?;
        for statement in &heard {
            match statement {
                Heard::Registered => self.is_registered = true,
                Heard::Refused(reason) => return Err(LinkError::Refused(reason.clone())),
                Heard::Configured(runtime) => {
                    self.runtime = Some(runtime.clone());
                    self.configured_at = Some(Instant::now());
                }
                Heard::Listed(_) => {
                    let time = self.configured_at.take().map(|at| at.elapsed());
                    self.may_be_late = time.is_some_and(|time| time > self.request_timeout() / 2);
                }
                _ => {}
            }
        }
        Ok(heard)
    }

    /// Tells the runtime that it may start the container of that stream.
    ///
    /// # Errors
    /// When the connection cannot be used any longer.
    pub(super) fn answer_start(&mut self, stream: u32) -> Result<(), LinkError> {
        self.conversation.answer_start(stream);
        self.flush()
    }

    /// Sends as much of the answers as the runtime takes.
    ///
    /// # Errors
    /// When the connection cannot be used any longer.
    fn flush(&mut self) -> Result<(), LinkError> {
        let output = self.conversation.output();
        while !output.is_empty() {
            match self.stream.write(output) {
                Ok(length) => drop(output.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_transient(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns whether answers wait for the runtime. Nothing is read until it has taken them, so that
    /// they cannot become many.
    pub(super) fn has_output(&self) -> bool {
        self.conversation.has_output()
    }

    /// Returns whether the answer to the last list of containers may have been late: that of the first one
    /// after the runtime has introduced itself. A runtime of NRI before 0.12 sends no event to such a plugin,
    /// and leaves the connection open (`acceptPluginConnections` in `pkg/adaptation`).
    pub(super) fn may_be_late(&self) -> bool {
        self.may_be_late
    }

    fn request_timeout(&self) -> Duration {
        let runtime = self.runtime.as_ref();
        let named = runtime.and_then(|runtime| runtime.request_timeout);
        named.unwrap_or(REQUEST_TIMEOUT)
    }

    /// Returns true once, when the runtime has registered the plugin and introduced itself.
    pub(super) fn is_newly_registered(&mut self) -> bool {
        let is_new = self.is_registered && self.runtime.is_some() && !self.is_announced;
        self.is_announced |= is_new;
        is_new
    }

    /// Returns how long the connection has lasted.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Returns the name and the version of the runtime.
    pub(super) fn runtime(&self) -> String {
        match &self.runtime {
            Some(runtime) => format!("{} {}", runtime.name, runtime.version),
            None => "a runtime".to_owned(),
        }
    }
}

impl AsFd for RuntimeLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_transient(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
    kinds.contains(&error.kind())
}
