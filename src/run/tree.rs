//! The tree of served files that a container binds: the tree of the host's daemon, or of a daemon
//! for only this container.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    base::{
        respawn::{self, Respawn},
        sys::process,
    },
    inject::tree::is_served,
    run::error::{RunError, at},
};

/// The timeout for the start of an embedded daemon.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The timeout for the end of an embedded daemon after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A tree of served files.
#[derive(Debug)]
pub(crate) enum ServedTree {
    /// The mount point of the host's daemon.
    Host(PathBuf),
    /// The tree of a daemon for only this container.
    Embedded(EmbeddedDaemon),
}

impl ServedTree {
    /// Returns the tree of the host's daemon; `None` unless the daemon serves on `mountpoint` and
    /// answers.
    pub(crate) fn of_host(mountpoint: &Path) -> Option<ServedTree> {
        is_served(mountpoint).then(|| ServedTree::Host(mountpoint.to_owned()))
    }

    /// Starts a daemon that will serve on `mountpoint` while this process lives, with its messages in
    /// `log`.
    ///
    /// # Errors
    ///
    /// A daemon that cannot be started.
    pub(crate) fn embedded(mountpoint: PathBuf, log: PathBuf) -> Result<ServedTree, RunError> {
        EmbeddedDaemon::start(mountpoint, log).map(ServedTree::Embedded)
    }

    /// Waits until the tree is served.
    ///
    /// # Errors
    ///
    /// A daemon that ends, or is not ready before the timeout; with its last message.
    pub(crate) fn wait_until_ready(&self) -> Result<(), RunError> {
        match self {
            ServedTree::Host(_) => Ok(()),
            ServedTree::Embedded(daemon) => daemon.wait_until_ready(),
        }
    }

    /// Asks the daemon of this container to end, and does not wait for it: a drop does.
    pub(crate) fn end(&mut self) {
        if let ServedTree::Embedded(daemon) = self {
            daemon.end();
        }
    }

    /// Returns the mount point of the tree.
    pub(crate) fn path(&self) -> &Path {
        match self {
            ServedTree::Host(mountpoint) => mountpoint,
            ServedTree::Embedded(daemon) => &daemon.mountpoint,
        }
    }
}

/// A daemon for one container. A drop ends the daemon.
#[derive(Debug)]
pub(crate) struct EmbeddedDaemon {
    process: Child,
    mountpoint: PathBuf,
    log: PathBuf,
    /// The end of the process was asked for.
    is_ending: bool,
}

impl EmbeddedDaemon {
    fn start(mountpoint: PathBuf, log: PathBuf) -> Result<EmbeddedDaemon, RunError> {
        let messages = fs::File::create(&log).map_err(at("create", &log))?;
        let daemon = Respawn::EmbeddedDaemon {
            mountpoint: &mountpoint,
        };
        let process = daemon
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(messages)
            // A terminal's signals are for the command, which may survive them and needs the
            // daemon.
            .process_group(0)
            .spawn()
            .map_err(at("start", respawn::PROGRAM))?;
        Ok(EmbeddedDaemon {
            process,
            mountpoint,
            log,
            is_ending: false,
        })
    }

    fn wait_until_ready(&self) -> Result<(), RunError> {
        match self.process.stdout.as_ref().map(wait_until_ready) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(RunError::Daemon(
                last_message(&self.log).unwrap_or(error.to_string()),
            )),
            None => Err(RunError::Daemon(
                "the process has no standard output".to_owned(),
            )),
        }
    }

    fn end(&mut self) {
        if let (false, Some(pid)) = (self.is_ending, self.pid()) {
            let _ = kill(pid, Signal::SIGTERM);
            self.is_ending = true;
        }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.process.id()).ok().map(Pid::from_raw)
    }
}

impl Drop for EmbeddedDaemon {
    fn drop(&mut self) {
        self.end();
        if process::has_ended_within(&mut self.process, STOP_TIMEOUT) {
            return;
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for the line `ready`, which the daemon prints once it serves.
fn wait_until_ready(stdout: &ChildStdout) -> io::Result<()> {
    let timeout = PollTimeout::try_from(START_TIMEOUT).unwrap_or(PollTimeout::NONE);
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, timeout)? == 0 {
        return Err(io::Error::from(io::ErrorKind::TimedOut));
    }
    let stdout = fs::File::from(stdout.as_fd().try_clone_to_owned()?);
    let mut line = String::new();
    BufReader::new(stdout.take(64)).read_line(&mut line)?;
    match line.trim_end() {
        "ready" => Ok(()),
        "" => Err(io::Error::other("the daemon ended")),
        other => Err(io::Error::other(format!("the daemon printed {other:?}"))),
    }
}

/// Returns the last message of the daemon.
fn last_message(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim_start_matches("plimsoll: ").to_owned())
}
