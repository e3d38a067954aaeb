//! Pure. What a successor must know of the connections that it is handed, with a version.

use crate::serve::wire::Handshake;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a successor must know, by version. A version that is not listed here is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum Manifest {
    /// The first one.
    #[serde(rename = "1")]
    V1 {
        /// Where the daemon serves.
        mountpoint: PathBuf,
        /// Its connections, in the order in which they were mounted.
        connections: Vec<Handshake>,
    },
}

/// Why what was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Another version of this program has written it.
    #[error("it was handed over in version {0}, which this program does not know (it knows 1)")]
    Unknown(String),
    /// It is no roster.
    #[error("what was handed over is corrupt")]
    Corrupt(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Versioned {
    version: String,
}

impl Manifest {
    /// The roster as it is handed over.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        // Strings and numbers alone: it cannot fail but for a path that is no text.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The roster in a text.
    ///
    /// # Errors
    /// When the text is of another version, or none at all.
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

    fn roster() -> Manifest {
        Manifest::V1 {
            mountpoint: "/var/lib/plimsoll".into(),
            connections: vec![Handshake {
                name: "direct".to_owned(),
                mountpoint: "/var/lib/plimsoll".into(),
                init_request: vec![1, 255],
                init_reply: vec![0],
            }],
        }
    }

    #[test]
    fn a_roster_is_read_as_it_was_written() {
        assert_eq!(Manifest::parse(&roster().text()).unwrap(), roster());
    }

    #[test]
    fn a_roster_of_another_version_is_refused_by_its_number() {
        let text = String::from_utf8(roster().text()).unwrap();
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
