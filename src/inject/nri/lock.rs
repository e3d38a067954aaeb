//! The lock of a runtime's socket, which one plugin at a time holds: the runtime would call both copies of
//! a plugin at each start. The file tells `doctor` the plugin's pid, and whether it is registered.

use super::error::NriError;
use crate::base::paths::run_file;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process,
};

/// The state of the plugin of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginState {
    /// No plugin runs.
    Absent,
    /// A plugin is registered; with the runtime.
    Registered(String),
    /// A plugin runs and is not registered; with the reason.
    Unregistered(String),
}

/// The lock, held. Only root may open it.
#[derive(Debug)]
pub(super) struct PluginLock(Flock<File>);

/// The first words of the second line of the file of a plugin that is registered.
const REGISTERED: &str = "registered with ";

/// Returns the path of the lock of a socket.
fn lock_path(socket: &Path) -> PathBuf {
    run_file("nri", socket, "lock")
}

impl PluginLock {
    /// Takes the lock of a socket for as long as the process lives.
    ///
    /// # Errors
    /// When another plugin has the lock, or the kernel refuses the file.
    pub(super) fn acquire(socket: &Path) -> Result<PluginLock, NriError> {
        let path = lock_path(socket);
        let refused = |source: io::Error| NriError::Lock {
            path: path.clone(),
            source,
        };
        if let Some(directory) = path.parent() {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o755).create(directory);
            made.map_err(refused)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(refused)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(PluginLock(lock)),
            Err((_, Errno::EWOULDBLOCK)) => {
                let text = fs::read_to_string(&path).unwrap_or_default();
                Err(NriError::Held {
                    socket: socket.to_owned(),
                    holder: text.lines().next().unwrap_or("unknown").to_owned(),
                })
            }
            Err((_, error)) => Err(refused(error.into())),
        }
    }

    /// Writes down that the plugin is registered with a runtime.
    pub(super) fn tell_registered(&self, runtime: &str) {
        self.tell(&format!("{REGISTERED}{runtime}"));
    }

    /// Writes down the reason for which the plugin is not registered.
    pub(super) fn tell_unregistered(&self, reason: &str) {
        self.tell(reason);
    }

    fn tell(&self, state: &str) {
        let state = state.replace('\n', " ");
        let text = format!("{}\n{state}\n", process::id());
        // The file is for people. A plugin does its work without it.
        let _ = self.0.set_len(0);
        let _ = self.0.write_all_at(text.as_bytes(), 0);
    }
}

impl AsFd for PluginLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns the state of the plugin of a socket. `None` if this process may not ask.
#[must_use]
pub fn plugin_state(socket: &Path) -> Option<PluginState> {
    let file = match File::open(lock_path(socket)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(PluginState::Absent),
        Err(_) => return None,
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Some(PluginState::Absent),
        Err((file, Errno::EWOULDBLOCK)) => Some(state_in(&io::read_to_string(file).ok()?)),
        Err(_) => None,
    }
}

/// Returns the state in the text of a lock that is held.
fn state_in(text: &str) -> PluginState {
    let state = text.lines().nth(1).unwrap_or("the plugin has just started");
    match state.strip_prefix(REGISTERED) {
        Some(runtime) => PluginState::Registered(runtime.to_owned()),
        None => PluginState::Unregistered(state.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_line_of_a_lock_says_whether_its_plugin_is_registered() {
        let registered = PluginState::Registered("containerd v2.1.9".to_owned());
        assert_eq!(
            state_in("7\nregistered with containerd v2.1.9\n"),
            registered
        );
        for (text, reason) in [
            ("7\nno such file\n", "no such file"),
            ("", "the plugin has just started"),
        ] {
            assert_eq!(state_in(text), PluginState::Unregistered(reason.to_owned()));
        }
    }

    #[test]
    fn a_socket_without_a_lock_has_no_plugin() {
        let socket = Path::new("/nowhere/plimsoll-without-lock.sock");
        assert_eq!(plugin_state(socket), Some(PluginState::Absent));
    }
}
