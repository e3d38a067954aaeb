//! Pure. The exchange with which the kernel and a daemon agree on a protocol.

use serde::{Deserialize, Serialize};
use std::{ops::Range, path::PathBuf};

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

/// The place of `flags2` in the kernel's request: after `fuse_in_header` and four fields of `fuse_init_in`.
const REQUEST_FLAGS2: Range<usize> = 56..60;
/// The place of `flags2` in the reply: after `fuse_out_header` and ten fields of `fuse_init_out`.
const REPLY_FLAGS2: Range<usize> = 48..52;

impl Handshake {
    /// Returns the kernel's `FUSE_INIT` request as a program may answer it. A successor is offered no
    /// newer capability (`flags2`) than its predecessor took, because the kernel cannot be told of
    /// another one: a version that can use more resumes the connection of one that cannot.
    #[must_use]
    pub fn offer(&self) -> Vec<u8> {
        let mut offer = self.init_request.clone();
        if let Some(taken) = self.init_reply.get(REPLY_FLAGS2)
            && let Some(offered) = offer.get_mut(REQUEST_FLAGS2)
        {
            // A bit is one in both byte orders.
            for (offered, taken) in offered.iter_mut().zip(taken) {
                *offered &= taken;
            }
        }
        offer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_offered_the_new_capabilities_that_its_predecessor_took_and_no_other() {
        let mut request = vec![7; 104];
        request[REQUEST_FLAGS2].copy_from_slice(&[0xff, 0x20, 0, 1]);
        let mut handshake = Handshake {
            name: "direct".to_owned(),
            mountpoint: "/view".into(),
            init_request: request.clone(),
            init_reply: Vec::new(),
        };
        assert_eq!(handshake.offer(), request);
        handshake.init_reply = vec![9; 80];
        handshake.init_reply[REPLY_FLAGS2].copy_from_slice(&[0x0f, 0, 0, 1]);
        request[REQUEST_FLAGS2].copy_from_slice(&[0x0f, 0, 0, 1]);
        assert_eq!(handshake.offer(), request);
        handshake.init_reply.truncate(24);
        assert_eq!(handshake.offer(), handshake.init_request);
    }

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
