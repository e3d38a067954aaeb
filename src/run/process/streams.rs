//! The standard streams of a container.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

use nix::{
    errno::Errno,
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{
    base::sys::{
        mount::{Depth, attach, clone_tree},
        terminal,
    },
    run::{
        error::{RunError, at, step},
        root::enter::is_null,
    },
};

/// Replaces each standard stream on the host's /dev/null by one on the container's, and standard
/// input in any case unless the container has it.
///
/// # Errors
///
/// A device that cannot be opened.
pub(super) fn replace_null_streams(has_stdin: bool) -> Result<(), RunError> {
    let path = "/dev/null";
    let null = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let null = null.map_err(at("open the container's", path))?;
    if !is_null(&null)? {
        return Err(at("use the container's", path)(Errno::ENODEV));
    }
    let wrong = || step("connect the standard streams");
    if !has_stdin || is_null(io::stdin())? {
        dup2_stdin(&null).map_err(wrong())?;
    }
    if is_null(io::stdout())? {
        dup2_stdout(&null).map_err(wrong())?;
    }
    if is_null(io::stderr())? {
        dup2_stderr(&null).map_err(wrong())?;
    }
    Ok(())
}

/// Makes a terminal of the container, with its slave as /dev/console, as the controlling terminal and
/// as the standard streams; returns the master.
///
/// # Errors
///
/// A terminal that cannot be made or mounted.
pub(super) fn connect_terminal() -> Result<OwnedFd, RunError> {
    let (master, slave) = terminal::open_pair().map_err(step("make a terminal"))?;
    mount_console(&slave)?;
    let connected = terminal::take_control(slave.as_fd())
        .and_then(|()| dup2_stdin(&slave))
        .and_then(|()| dup2_stdout(&slave))
        .and_then(|()| dup2_stderr(&slave));
    connected.map_err(step("connect the terminal"))?;
    Ok(master)
}

/// Mounts the terminal `slave` as /dev/console.
fn mount_console(slave: &OwnedFd) -> Result<(), RunError> {
    let path = Path::new("/dev/console");
    let target = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .mode(0o666)
        .open(path)
        .map_err(at("create the container's", path))?;
    clone_tree(slave.as_fd(), Depth::Alone)
        .and_then(|copy| attach(copy.as_fd(), target.as_fd()))
        .map_err(at("mount the terminal on the container's", path))
}
