//! The descriptors that outlive a daemon.

use super::{Manifest, ManifestError, Message};
use crate::base::sys::fd;
use nix::{
    errno::Errno,
    sys::memfd::{MFdFlags, memfd_create},
};
use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    time::Duration,
};

/// The name of the lock on the mount point.
pub const LOCK: &str = "lock";
/// The name of the socket at whose other end the keeper is of the daemon that hands over.
pub const KEEPER: &str = "keeper";
/// The name of the socket at whose other end the daemon is that is being replaced.
pub const PREDECESSOR: &str = "predecessor";
/// The name of the [`Manifest`].
pub const MANIFEST: &str = "roster";
/// The name of the store's memory.
pub const STATE: &str = "state";

/// How long a daemon waits for another one to speak.
pub const HANDOVER_TIMEOUT: Duration = Duration::from_secs(10);

// A roster holds two messages of some hundred bytes for each connection, as numbers.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Descriptors with names. Those that are not named here are devices, by their connections' names.
#[derive(Debug, Default)]
pub struct Descriptors(Vec<(String, OwnedFd)>);

impl Descriptors {
    /// These.
    pub fn new(named: impl IntoIterator<Item = (String, OwnedFd)>) -> Descriptors {
        Descriptors(named.into_iter().collect())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a roster.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn enter(&mut self, roster: &Manifest) -> io::Result<()> {
        let fd = memfd_create("plimsoll-manifest", MFdFlags::MFD_CLOEXEC)?;
        let mut file = File::from(fd);
        file.write_all(&roster.text())?;
        self.0.push((MANIFEST.to_owned(), file.into()));
        Ok(())
    }

    /// Adds a copy of a descriptor.
    ///
    /// # Errors
    /// At a limit of descriptors.
    pub fn add(&mut self, name: &str, fd: impl AsFd) -> io::Result<()> {
        let fd = fd.as_fd().try_clone_to_owned()?;
        self.0.push((name.to_owned(), fd));
        Ok(())
    }

    /// Takes the descriptor with that name out.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// What the roster among them says.
    ///
    /// # Errors
    /// When there is none that this program understands.
    pub fn roster(&self) -> Result<Manifest, ManifestError> {
        let found = self.0.iter().find(|(name, _)| name == MANIFEST);
        let text = found.and_then(|(_, fd)| text(fd).ok());
        Manifest::parse(&text.unwrap_or_default())
    }

    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.0.iter().map(|(name, fd)| (name.as_str(), fd.as_fd()))
    }

    /// Sends a message that carries no descriptors.
    ///
    /// # Errors
    /// Those of [`fd::send`].
    pub fn say(socket: impl AsFd, message: &Message) -> nix::Result<()> {
        fd::send(socket, message.text().as_bytes(), &[])
    }

    /// Sends copies of all of them.
    ///
    /// # Errors
    /// Those of [`fd::send`].
    pub fn send(&self, socket: impl AsFd) -> nix::Result<()> {
        self.send_with(socket, None)
    }

    /// Sends copies of all of them, and of one more if there is one.
    ///
    /// # Errors
    /// Those of [`fd::send`].
    pub fn send_with(
        &self,
        socket: impl AsFd,
        more: Option<(&str, BorrowedFd<'_>)>,
    ) -> nix::Result<()> {
        let (names, fds): (Vec<&str>, Vec<BorrowedFd<'_>>) = self.iter().chain(more).unzip();
        let names = names.into_iter().map(str::to_owned).collect();
        fd::send(socket, Message::Hold(names).text().as_bytes(), &fds)
    }

    /// Waits for a message as [`Descriptors::receive`] does, but no longer than [`HANDOVER_TIMEOUT`].
    ///
    /// # Errors
    /// ETIMEDOUT when none comes, and those of [`fd::receive`].
    pub fn hear(socket: impl AsFd) -> nix::Result<Option<(Message, Descriptors)>> {
        fd::readable_within(&socket, HANDOVER_TIMEOUT)?;
        Descriptors::receive(socket)
    }

    /// Waits for a message; with the descriptors that came along. `None` when the other end is
    /// gone, or says what this program does not understand.
    ///
    /// # Errors
    /// Those of [`fd::receive`].
    pub fn receive(socket: impl AsFd) -> nix::Result<Option<(Message, Descriptors)>> {
        let (text, fds) = fd::receive(socket)?;
        let message = Message::parse(&text);
        let held = match &message {
            Some(Message::Hold(names)) if names.len() != fds.len() => return Err(Errno::EBADMSG),
            Some(Message::Hold(names)) => Descriptors::new(names.iter().cloned().zip(fds)),
            _ => Descriptors::default(),
        };
        Ok(message.map(|message| (message, held)))
    }
}

fn text(fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let file = File::from(fd.try_clone()?);
    let size = file.metadata()?.len().min(MAX_MANIFEST_BYTES);
    let mut text = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    // Others read it through the same open file: its offset is no one's.
    file.read_exact_at(&mut text, 0)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_arrives_by_its_names() {
        let roster = Manifest::V1 {
            mountpoint: "/x".into(),
            connections: Vec::new(),
        };
        let mut held = Descriptors::default();
        held.enter(&roster).unwrap();
        held.add("direct", std::io::stdin()).unwrap();
        let (here, there) = fd::pair().unwrap();
        held.send(&here).unwrap();
        let (_, mut arrived) = Descriptors::receive(&there).unwrap().unwrap();
        assert_eq!(arrived.roster().unwrap(), roster);
        assert!(arrived.take("direct").is_some() && arrived.take("direct").is_none());
        drop(here);
        assert!(Descriptors::receive(&there).unwrap().is_none());
    }

    #[test]
    fn a_roster_that_is_missing_is_an_error() {
        assert!(Descriptors::default().roster().is_err());
    }
}
