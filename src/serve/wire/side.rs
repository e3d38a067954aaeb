//! Pure. The two sides of a view, each a connection of its own.

use crate::base::paths::CONTAINERS;
use std::path::{Path, PathBuf};

/// A connection's part of the view: direct or cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The whole tree. The mount is writable, because programs write triggers to the pressure
    /// files; each other file refuses writes.
    Direct,
    /// The files that the kernel caches, mounted read-only on a directory of the direct connection.
    Cached,
}

impl Side {
    /// The two sides, in the order in which they are mounted.
    pub const BOTH: [Side; 2] = [Side::Direct, Side::Cached];

    /// Returns the name in the manifest, which never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Direct => "direct",
            Side::Cached => "cached",
        }
    }

    /// Returns the side with that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| side.name() == name)
    }

    /// Returns the mount point of this side of the view at `view`.
    #[must_use]
    pub fn mountpoint(self, view: &Path) -> PathBuf {
        match self {
            Side::Direct => view.to_owned(),
            Side::Cached => view.join(CONTAINERS),
        }
    }

    /// Returns the index in the order of mounting.
    #[must_use]
    pub fn index(self) -> u8 {
        u8::from(self == Side::Cached)
    }

    /// Returns the side with that index.
    #[must_use]
    pub(super) fn from_index(index: u64) -> Side {
        match index {
            0 => Side::Direct,
            _ => Side::Cached,
        }
    }
}
