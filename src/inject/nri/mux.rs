//! Pure. The frames of the multiplexed connection to a runtime, the trunk.
//!
//! A frame is two numbers, big-endian, and a payload: `connection: u32 | length: u32 | payload`. The
//! payloads of one connection are a stream of bytes, whose messages may begin and end anywhere in a
//! frame. A connection is neither opened nor closed.

use super::{error::WireError, ttrpc::MAX_TTRPC_MESSAGE};

/// The connection on which the runtime calls the plugin.
pub(super) const PLUGIN_SERVICE: u32 = 1;

/// The connection on which the plugin calls the runtime.
pub(super) const RUNTIME_SERVICE: u32 = 2;

/// The length of a header.
const HEADER: usize = 8;

/// The maximum payload of a frame that is received: the longest message of ttrpc with its header
/// (`pkg/net/multiplex/mux.go`).
pub(super) const MAX_RECEIVED: usize = MAX_TTRPC_MESSAGE + 10;

/// The maximum payload of a frame that is sent: the runtime reads each connection through a buffer of
/// that size, and a frame that is larger closes the connection.
const MAX_SENT: usize = 4096;

/// Splits the bytes of the trunk into pieces of its connections.
#[derive(Debug, Default)]
pub(super) struct TrunkReader {
    /// The bytes of a header that is not whole.
    header: Vec<u8>,
    connection: u32,
    /// The bytes of the present frame that have not been received.
    left: usize,
}

impl TrunkReader {
    /// Returns the pieces in the next bytes of the trunk, each with its connection.
    ///
    /// # Errors
    /// When a frame is longer than any that a runtime sends.
    pub(super) fn read<'a>(
        &mut self,
        mut bytes: &'a [u8],
    ) -> Result<Vec<(u32, &'a [u8])>, WireError> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            if self.left == 0 {
                let missing = HEADER.saturating_sub(self.header.len()).min(bytes.len());
                let (header, rest) = bytes.split_at(missing);
                self.header.extend_from_slice(header);
                bytes = rest;
                self.begin_frame()?;
                continue;
            }
            let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
            pieces.push((self.connection, piece));
            self.left -= piece.len();
            bytes = rest;
        }
        Ok(pieces)
    }

    fn begin_frame(&mut self) -> Result<(), WireError> {
        let Some(header) = self.header.first_chunk::<HEADER>() else {
            return Ok(());
        };
        let [a, b, c, d, length @ ..] = *header;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_RECEIVED {
            return Err(WireError::LongFrame(length));
        }
        self.connection = u32::from_be_bytes([a, b, c, d]);
        self.left = length;
        self.header.clear();
        Ok(())
    }
}

/// Writes bytes of a connection as frames of the trunk.
pub(super) fn write_frames(trunk: &mut Vec<u8>, connection: u32, bytes: &[u8]) {
    for payload in bytes.chunks(MAX_SENT) {
        let length = u32::try_from(payload.len()).unwrap_or_default();
        trunk.extend_from_slice(&connection.to_be_bytes());
        trunk.extend_from_slice(&length.to_be_bytes());
        trunk.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    /// Reads the trunk in pieces of that size, and returns the bytes of each connection.
    fn read(trunk: &[u8], size: usize) -> Result<BTreeMap<u32, Vec<u8>>, WireError> {
        let mut reader = TrunkReader::default();
        let mut connections: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for bytes in trunk.chunks(size) {
            for (connection, piece) in reader.read(bytes)? {
                connections.entry(connection).or_default().extend(piece);
            }
        }
        Ok(connections)
    }

    #[test]
    fn a_frame_is_the_connection_the_length_and_the_payload() {
        let mut trunk = Vec::new();
        write_frames(&mut trunk, RUNTIME_SERVICE, b"abc");
        assert_eq!(trunk, b"\0\0\0\x02\0\0\0\x03abc");
    }

    #[test]
    fn no_frame_to_the_runtime_is_longer_than_its_buffer() {
        let mut trunk = Vec::new();
        write_frames(&mut trunk, 1, &[7; 10_000]);
        let lengths = [4096_u32, 4096, 1808];
        let mut rest = trunk.as_slice();
        for length in lengths {
            assert_eq!(rest[4..8], length.to_be_bytes());
            rest = &rest[8 + usize::try_from(length).unwrap()..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_header() {
        let length = u32::try_from(MAX_RECEIVED + 1).unwrap();
        let header = [1_u32.to_be_bytes(), length.to_be_bytes()].concat();
        let refused = WireError::LongFrame(MAX_RECEIVED + 1);
        assert_eq!(read(&header, 3), Err(refused));
        assert_eq!(
            read(&[0xff; 8], 8).map(|_| ()).unwrap_err(),
            WireError::LongFrame(0xffff_ffff)
        );
    }

    #[test]
    fn an_empty_frame_is_no_piece() {
        let mut reader = TrunkReader::default();
        let trunk = b"\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x01x";
        assert_eq!(reader.read(trunk), Ok(vec![(2, &b"x"[..])]));
    }

    proptest! {
        #[test]
        fn each_connection_gets_its_bytes_however_the_trunk_is_cut(
            frames in prop::collection::vec((0_u32..4, prop::collection::vec(any::<u8>(), 0..5000)), 0..6),
            size in 1_usize..9000,
        ) {
            let mut trunk = Vec::new();
            let mut expected: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
            for (connection, bytes) in &frames {
                write_frames(&mut trunk, *connection, bytes);
                if !bytes.is_empty() {
                    expected.entry(*connection).or_default().extend(bytes);
                }
            }
            prop_assert_eq!(read(&trunk, size), Ok(expected));
        }

        #[test]
        fn no_bytes_of_a_trunk_panic_and_none_are_made_up(bytes: Vec<u8>, size in 1_usize..20) {
            if let Ok(connections) = read(&bytes, size) {
                let sum: usize = connections.values().map(Vec::len).sum();
                prop_assert!(sum <= bytes.len());
            }
        }
    }
}
