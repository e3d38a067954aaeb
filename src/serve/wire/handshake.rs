//! Pure. The exchange with which the kernel and a daemon agree on a protocol.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A connection's name, mount point and `FUSE_INIT` exchange, with which a successor resumes it.
///
/// The names of the serialised fields are part of the manifest's version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// Name among the connections of one daemon; see [`Side::name`](super::Side::name).
    pub name: String,
    /// Mount point.
    #[serde(rename = "point")]
    pub mountpoint: PathBuf,
    /// The kernel's `FUSE_INIT` request, header included.
    #[serde(rename = "hello")]
    pub init_request: Vec<u8>,
    /// The reply that the kernel got, header included; empty before the first session.
    #[serde(rename = "answer")]
    pub init_reply: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_reads_a_handshake_by_the_names_of_its_first_version() {
        let handshake = Handshake {
            name: "direct".to_owned(),
            mountpoint: "/view".into(),
            init_request: vec![1],
            init_reply: vec![2],
        };
        let text = r#"{"name":"direct","point":"/view","hello":[1],"answer":[2]}"#;
        assert_eq!(serde_json::to_string(&handshake).unwrap(), text);
    }
}
