//! The set of descriptors that outlives a daemon.

use super::{Manifest, ManifestError, Name};
use crate::base::sys::packet::MAX_PACKET_FDS;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
};

/// The maximum of descriptors in a set. A receiver refuses a larger one, so that no sender can make
/// a receiver allocate without bound.
pub const MAX_DESCRIPTORS: usize = 8192;

// A manifest holds two messages of some hundred bytes for each connection, as numbers.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Owned descriptors, each with a name. A set is dropped as a whole: every descriptor is closed
/// then.
#[derive(Debug, Default)]
pub struct Descriptors(Vec<(Name, OwnedFd)>);

impl Descriptors {
    /// Makes a set of these descriptors.
    pub fn new(named: impl IntoIterator<Item = (Name, OwnedFd)>) -> Descriptors {
        Descriptors(named.into_iter().collect())
    }

    /// Returns true when one packet carries the whole set.
    #[must_use]
    pub fn fit_into_one_packet(&self) -> bool {
        self.0.len() <= MAX_PACKET_FDS
    }

    /// Returns the number of descriptors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the manifest into new memory, and adds the descriptor of that memory.
    ///
    /// # Errors
    /// The errors of `memfd_create(2)` and `write(2)`: the kernel has no memory, or this process may
    /// open no more descriptors.
    pub fn add_manifest(&mut self, manifest: &Manifest) -> io::Result<()> {
        let fd = memfd_create("plimsoll-manifest", MFdFlags::MFD_CLOEXEC)?;
        let mut file = File::from(fd);
        file.write_all(&manifest.text())?;
        self.push(Name::Manifest, file.into());
        Ok(())
    }

    /// Adds a duplicate of a descriptor.
    ///
    /// # Errors
    /// EMFILE when this process may open no more descriptors.
    pub fn add(&mut self, name: Name, fd: impl AsFd) -> io::Result<()> {
        self.push(name, fd.as_fd().try_clone_to_owned()?);
        Ok(())
    }

    /// Adds a descriptor.
    pub fn push(&mut self, name: Name, fd: OwnedFd) {
        self.0.push((name, fd));
    }

    /// Removes and returns the first descriptor with that name.
    pub fn take(&mut self, name: &Name) -> Option<OwnedFd> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Returns a duplicate of the first descriptor with that name.
    ///
    /// # Errors
    /// EMFILE when this process may open no more descriptors.
    pub fn duplicate(&self, name: &Name) -> io::Result<Option<OwnedFd>> {
        let found = self.iter().find(|(other, _)| *other == name);
        found.map(|(_, fd)| fd.try_clone_to_owned()).transpose()
    }

    /// Reads the manifest of the set.
    ///
    /// # Errors
    /// When the set has no manifest, or one that this program does not understand.
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        let found = self.0.iter().find(|(name, _)| *name == Name::Manifest);
        let text = found.and_then(|(_, fd)| content(fd).ok());
        Manifest::parse(&text.unwrap_or_default())
    }

    /// Iterates over the names and the descriptors.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, BorrowedFd<'_>)> {
        self.0.iter().map(|(name, fd)| (name, fd.as_fd()))
    }
}

fn content(fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let file = File::from(fd.try_clone()?);
    let size = file.metadata()?.len().min(MAX_MANIFEST_BYTES);
    let mut text = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    // Other processes share the open file, and so its offset: every read passes its own offset.
    file.read_exact_at(&mut text, 0)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_added() {
        let manifest = Manifest::V1 {
            mountpoint: "/x".into(),
            connections: Vec::new(),
            term: None,
        };
        let mut descriptors = Descriptors::default();
        descriptors.add_manifest(&manifest).unwrap();
        assert_eq!(descriptors.manifest().unwrap(), manifest);
    }

    #[test]
    fn a_descriptor_is_taken_once() {
        let mut descriptors = Descriptors::default();
        descriptors.add(Name::Lock, std::io::stdin()).unwrap();
        assert!(descriptors.take(&Name::Lock).is_some());
        assert!(descriptors.take(&Name::Lock).is_none() && descriptors.is_empty());
    }

    #[test]
    fn a_manifest_that_is_missing_is_an_error() {
        assert!(Descriptors::default().manifest().is_err());
    }
}
