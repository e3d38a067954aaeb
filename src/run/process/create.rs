//! The creation of a container: forks its process 1 into new namespaces, and waits until it is ready.
//!
//! The two processes exchange packets over a pair of sockets. This process sends `MOUNT` when every
//! mount that the container shows is there. Process 1 sends `READY`, with the master of its terminal
//! if it has one, or the text of its error, which `WORKDIR` precedes if the working directory is
//! wrong. This process answers with `START` when the command may run. The end of process 1 closes its
//! socket.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{Pid, close},
};

use crate::{
    base::sys::{ChildNamespaces, chain, fd, packet, process},
    run::{
        bundle,
        error::{RunError, step},
        process::{init::Init, setup::Setup},
    },
};

/// The text that lets process 1 copy the mounts of its parent.
const MOUNT: &[u8] = b"mount";

/// The text of a process 1 that waits for its start.
const READY: &[u8] = b"ready";

/// The beginning of the text of a process 1 that cannot enter the working directory.
const WORKDIR: &[u8] = b"workdir ";

/// The text that starts the command.
const START: &[u8] = b"start";

/// The exit status of a process 1 that could not set up its container; no other process sees it.
const FAILED: i32 = 1;

/// A container whose process 1 has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pid: Pid,
    socket: OwnedFd,
}

impl Begun {
    /// Forks process 1, which waits in the container's cgroups.
    ///
    /// The calling process must have one thread.
    ///
    /// # Errors
    ///
    /// A process that cannot be made.
    pub(crate) fn new(setup: &Setup<'_>, init: &Init) -> Result<Begun, RunError> {
        let (socket, there) = fd::pair().map_err(step("make a socket"))?;
        let pid = fork_init(setup, init, &socket, &there)?;
        Ok(Begun { pid, socket })
    }

    /// Lets process 1 set up the container from the mounts of this process, and waits until it is
    /// ready in the working directory.
    ///
    /// # Errors
    ///
    /// The error of process 1.
    pub(crate) fn set_up(self, directory: &Path) -> Result<Created, RunError> {
        let Begun { pid, socket } = self;
        // A process 1 that has failed already has sent its error.
        let _ = packet::send(&socket, MOUNT, &[]);
        match ready(&socket, directory) {
            Ok(terminal) => Ok(Created {
                pid,
                terminal,
                socket,
            }),
            Err(error) => {
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, None);
                Err(error)
            }
        }
    }
}

/// A container whose process 1 waits for its start.
#[derive(Debug)]
pub(crate) struct Created {
    /// The master of the container's terminal, until it is taken.
    pub(crate) terminal: Option<OwnedFd>,
    pid: Pid,
    socket: OwnedFd,
}

impl Created {
    /// Starts the command, and returns process 1.
    ///
    /// # Errors
    ///
    /// A process 1 that has ended.
    pub(crate) fn start(self) -> Result<Pid, RunError> {
        packet::send(&self.socket, START, &[]).map_err(step("start the command"))?;
        Ok(self.pid)
    }
}

fn fork_init(
    setup: &Setup<'_>,
    init: &Init,
    of_parent: &OwnedFd,
    socket: &OwnedFd,
) -> Result<Pid, RunError> {
    let offsets = setup.resolved.clocks.map(bundle::offsets);
    let _namespaces = ChildNamespaces::new(offsets.as_deref())
        .map_err(step("make the container's namespaces"))?;
    // No process of the container reaches the files and the memory of process 1 by /proc/1.
    prctl::set_dumpable(false).map_err(step("protect process 1"))?;
    let child = || {
        // No wait on the socket would end while this copy is open.
        let _ = close(of_parent.as_raw_fd());
        run_init(setup, init, socket)
    };
    process::forked(child).map_err(step("start process 1"))
}

/// Returns the terminal of a container whose process 1 is ready.
fn ready(socket: &OwnedFd, directory: &Path) -> Result<Option<OwnedFd>, RunError> {
    let (text, fds) = packet::receive(socket).map_err(step("hear from process 1"))?;
    match text.as_slice() {
        READY => Ok(fds.into_iter().next()),
        [] => Err(RunError::Create("process 1 has ended".to_owned())),
        text => Err(received_error(text, directory)),
    }
}

/// Returns the error that process 1 has sent with [`sent_error`].
fn received_error(text: &[u8], directory: &Path) -> RunError {
    let owned = |text| String::from_utf8_lossy(text).into_owned();
    match text.strip_prefix(WORKDIR) {
        Some(wrong) => RunError::Workdir {
            path: directory.to_owned(),
            wrong: owned(wrong),
        },
        None => RunError::Create(owned(text)),
    }
}

fn sent_error(error: &RunError) -> Vec<u8> {
    let mut text = match error {
        RunError::Workdir { wrong, .. } => [WORKDIR, wrong.as_bytes()].concat(),
        error => chain(error).into_bytes(),
    };
    text.truncate(packet::MAX_PACKET_BYTES);
    text
}

/// The life of process 1: sets up the container, waits for the start, and runs the command to its
/// end. Returns only a status for a failed start.
fn run_init(setup: &Setup<'_>, init: &Init, socket: &OwnedFd) -> i32 {
    let terminal = match set_up(setup, init, socket) {
        Ok(terminal) => terminal,
        Err(error) => {
            let _ = packet::send(socket, &sent_error(&error), &[]);
            return FAILED;
        }
    };
    let fds: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
    let sent = packet::send(socket, READY, &fds);
    drop(terminal);
    match sent.and_then(|()| wait_for(socket, START)) {
        Ok(()) => init.run(setup.request, setup.resolved),
        Err(_) => FAILED,
    }
}

fn set_up(setup: &Setup<'_>, init: &Init, socket: &OwnedFd) -> Result<Option<OwnedFd>, RunError> {
    // Not all that process 1 waits for ends with the parent.
    init.bind_to_parent()?;
    setup.enter_cgroups()?;
    wait_for(socket, MOUNT).map_err(step("wait for the container's mounts"))?;
    let terminal = setup.carry_out()?;
    init.bind_to_parent()?;
    Ok(terminal)
}

/// Waits for a text of the parent; fails when the parent has closed the socket.
fn wait_for(socket: &OwnedFd, text: &[u8]) -> nix::Result<()> {
    let (received, _) = packet::receive(socket)?;
    match received == text {
        true => Ok(()),
        false => Err(Errno::ECONNRESET),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_working_directory_is_named_by_its_option() {
        let received = |error: &RunError| {
            let text = sent_error(error);
            received_error(&text, Path::new("/proc/no")).to_string()
        };
        let workdir = RunError::Workdir {
            path: "/proc/no".into(),
            wrong: "the container has no such directory".to_owned(),
        };
        assert_eq!(received(&workdir), workdir.to_string());
        let other = step("make a session")(Errno::EPERM);
        assert_eq!(
            received(&other),
            format!("cannot create the container: {}", chain(&other))
        );
    }
}
