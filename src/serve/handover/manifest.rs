//! Pure. The manifest of a hand-over: the facts about the connections that a successor needs, with a
//! version.

use crate::{base::state::Term, serve::wire::Handshake};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The facts that a successor needs, by version. A version that is not listed here is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum Manifest {
    /// Version 1.
    #[serde(rename = "1")]
    V1 {
        /// The directory on which the daemon serves.
        mountpoint: PathBuf,
        /// The connections, in the order in which they were mounted.
        connections: Vec<Handshake>,
        /// The term in which the daemon serves that wrote the manifest. `None` of a daemon without
        /// terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        term: Option<Term>,
    },
}

/// The reason for which a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The manifest was written by another version of this program.
    #[error("the manifest has version {0}, which this program does not support (supported: 1)")]
    Unknown(String),
    /// The text is no manifest.
    #[error("the manifest is corrupt")]
    Corrupt(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Versioned {
    version: String,
}

impl Manifest {
    /// Returns the term of the daemon that wrote the manifest.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        let Manifest::V1 { term, .. } = self;
        *term
    }

    /// Returns the manifest as JSON.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        // A manifest holds strings and numbers: only a path that is not UTF-8 makes this fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// When the text is of another version, or no manifest.
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        serde_json::from_slice(text).map_err(|error| {
            match serde_json::from_slice::<Versioned>(text) {
                Ok(Versioned { version }) if version != "1" => ManifestError::Unknown(version),
                _ => ManifestError::Corrupt(error),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn manifest() -> Manifest {
        Manifest::V1 {
            mountpoint: "/var/lib/plimsoll".into(),
            connections: vec![Handshake {
                name: "direct".to_owned(),
                mountpoint: "/var/lib/plimsoll".into(),
                init_request: vec![1, 255],
                init_reply: vec![0],
            }],
            term: Some(Term {
                lineage: 7,
                number: 2,
            }),
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        assert_eq!(Manifest::parse(&manifest().text()).unwrap(), manifest());
    }

    #[test]
    fn a_manifest_without_terms_is_understood() {
        let text = String::from_utf8(manifest().text()).unwrap();
        let before = text.replace(",\"term\":{\"lineage\":7,\"number\":2}", "");
        assert_ne!(before, text);
        assert_eq!(Manifest::parse(before.as_bytes()).unwrap().term(), None);
    }

    #[test]
    fn a_field_of_a_later_version_does_not_make_a_manifest_corrupt() {
        let text = String::from_utf8(manifest().text()).unwrap();
        let later = text.replace("\"term\":", "\"later\":1,\"term\":");
        assert_eq!(Manifest::parse(later.as_bytes()).unwrap(), manifest());
    }

    #[test]
    fn a_manifest_of_another_version_is_refused_by_its_number() {
        let text = String::from_utf8(manifest().text()).unwrap();
        let later = text.replace("\"version\":\"1\"", "\"version\":\"2\"");
        let error = Manifest::parse(later.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<Vec<u8>>()) {
            let _ = Manifest::parse(&text);
        }
    }
}
