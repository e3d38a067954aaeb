//! Pure. The names under which descriptors travel and are stored.

use crate::serve::wire::Side;
use std::fmt;

/// The maximum length of a name, in bytes. systemd passes the names of all stored descriptors in
/// one environment string, which the kernel limits to 128 KiB (`MAX_ARG_STRLEN` in
/// `include/uapi/linux/binfmts.h`): room for 4,096 names of this length and as many separators.
pub const MAX_NAME_BYTES: usize = 30;

/// The name of a descriptor that outlives a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The lock of the mount point.
    Lock,
    /// The socket to the keeper of the daemon that is being replaced.
    Keeper,
    /// The socket to the daemon that is being replaced.
    Predecessor,
    /// The [`Manifest`](super::Manifest).
    Manifest,
    /// The memory of the state store.
    State,
    /// The FUSE device of the connection on that side.
    Device(Side),
    /// A name of another version. The descriptor is kept and handed on.
    Unknown(String),
}

/// The names that stand for one descriptor each.
const FIXED: [(Name, &str); 5] = [
    (Name::Lock, "lock"),
    (Name::Keeper, "keeper"),
    (Name::Predecessor, "predecessor"),
    (Name::Manifest, "manifest"),
    (Name::State, "state"),
];

/// The name of the manifest in a set that an unreleased version of this program hands over.
const MANIFEST_ALIAS: &str = "roster";

impl Name {
    /// Reads a name. `None` when the text is empty, longer than [`MAX_NAME_BYTES`], or holds a
    /// character that separates names: a space in a packet, a colon in systemd's list.
    #[must_use]
    pub fn parse(text: &str) -> Option<Name> {
        let is_valid = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(is_valid) {
            return None;
        }
        if text == MANIFEST_ALIAS {
            return Some(Name::Manifest);
        }
        let fixed = FIXED.into_iter().find(|(_, word)| *word == text);
        let name = fixed.map(|(name, _)| name);
        let name = name.or_else(|| Side::from_name(text).map(Name::Device));
        Some(name.unwrap_or_else(|| Name::Unknown(text.to_owned())))
    }

    /// Returns the other text that [`Name::parse`] reads as this name, if there is one.
    #[must_use]
    pub fn alias(&self) -> Option<&'static str> {
        (*self == Name::Manifest).then_some(MANIFEST_ALIAS)
    }

    /// Returns the text of the name, which [`Name::parse`] reads.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Name::Device(side) => side.name(),
            Name::Unknown(text) => text,
            fixed => {
                let fixed = FIXED.iter().find(|(name, _)| name == fixed);
                fixed.map_or("", |(_, word)| word)
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let fixed = FIXED.map(|(name, _)| name);
        let devices = Side::BOTH.map(Name::Device);
        let unknown = [Name::Unknown("listener-18446744073709551615".to_owned())];
        for name in fixed.into_iter().chain(devices).chain(unknown) {
            assert_eq!(Name::parse(name.as_str()), Some(name));
        }
    }

    #[test]
    fn a_name_that_could_not_be_told_from_its_neighbour_is_refused() {
        for text in ["", "a b", "a:b", "a\nb", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert_eq!(Name::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_read_is_written_the_same_again(text in any::<String>()) {
            if let Some(name) = Name::parse(&text) {
                assert!(name.as_str() == text || name == Name::Manifest);
            }
        }
    }
}
