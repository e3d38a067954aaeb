//! The view a container gets its files from: the host's daemon, or one of its own.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    base::{
        mountinfo,
        paths::FS_TYPE,
        respawn::{self, Respawn},
    },
    run::error::{RunError, at},
};

/// How long an embedded daemon may take until it serves.
const PATIENCE: Duration = Duration::from_secs(20);

/// A served tree.
#[derive(Debug)]
pub(crate) enum View {
    /// The host's daemon's, which is there.
    Host(PathBuf),
    /// One for this container alone.
    Embedded(Daemon),
}

impl View {
    /// That of the host's daemon, if it serves there and answers.
    pub(crate) fn of_host(served: &Path) -> Option<View> {
        let mounts = mountinfo::own().ok()?;
        let serves = mountinfo::visible(&mounts)
            .iter()
            .any(|mount| mount.point == served && mount.kind == FS_TYPE);
        // A mount whose daemon died is still listed, and every look into it fails.
        let answers = serves && fs::read_dir(served.join("proc")).is_ok();
        answers.then(|| View::Host(served.to_owned()))
    }

    /// Starts a daemon that serves on `mountpoint` as long as this process lives.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or is not ready in time; with the last thing it said.
    pub(crate) fn embedded(mountpoint: PathBuf, log: &Path) -> Result<View, RunError> {
        Daemon::start(mountpoint, log).map(View::Embedded)
    }

    /// Where the tree is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            View::Host(served) => served,
            View::Embedded(daemon) => &daemon.mountpoint,
        }
    }
}

/// An embedded daemon, ended when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
    mountpoint: PathBuf,
}

impl Daemon {
    fn start(mountpoint: PathBuf, log: &Path) -> Result<Daemon, RunError> {
        let messages = fs::File::create(log).map_err(at("make", log))?;
        let daemon = Respawn::EmbeddedDaemon {
            mountpoint: &mountpoint,
        };
        let process = daemon
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(messages)
            // What a terminal sends is for the command, which may live on after it, and reads on.
            .process_group(0)
            .spawn()
            .map_err(at("start", respawn::PROGRAM))?;
        let mut daemon = Daemon {
            process,
            mountpoint,
        };
        match daemon.process.stdout.take().map(ready) {
            Some(Ok(())) => Ok(daemon),
            Some(Err(error)) => Err(RunError::Daemon(said(log).unwrap_or(error.to_string()))),
            None => Err(RunError::Daemon("it has no standard output".to_owned())),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for the line that says the daemon serves.
fn ready(stdout: ChildStdout) -> io::Result<()> {
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::NONE);
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, timeout)? == 0 {
        return Err(io::Error::from(io::ErrorKind::TimedOut));
    }
    let mut line = String::new();
    BufReader::new(stdout.take(64)).read_line(&mut line)?;
    match line.trim_end() {
        "ready" => Ok(()),
        "" => Err(io::Error::other("it ended")),
        other => Err(io::Error::other(format!("it said {other:?}"))),
    }
}

/// The last line that the daemon wrote.
fn said(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim_start_matches("plimsoll: ").to_owned())
}
