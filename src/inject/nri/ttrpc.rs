//! Pure. The messages of ttrpc, by which plugin and runtime call each other.
//!
//! A message is `length: u32 | stream: u32 | type: u8 | flags: u8 | payload`, big-endian. A call is a
//! request and a response with the same stream. A client chooses odd numbers for its streams.

use super::{
    error::WireError,
    fields::{FieldError, FieldReader, FieldWriter},
};

/// The maximum length of a payload (`messageLengthMax` in ttrpc's `channel.go`).
pub(super) const MAX_TTRPC_MESSAGE: usize = 4 << 20;

/// The length of a header.
const HEADER: usize = 10;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageType {
    /// A call.
    Request,
    /// The answer to a call.
    Response,
    /// A part of a stream, or a type that is unknown; neither belongs to NRI.
    Other,
}

/// A message of ttrpc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TtrpcMessage {
    /// The number that a request and its response have in common.
    pub(super) stream: u32,
    /// The type.
    pub(super) kind: MessageType,
    /// The request or the response.
    pub(super) payload: Vec<u8>,
}

/// Finds the messages in the bytes of one connection.
#[derive(Debug, Default)]
pub(super) struct MessageReader {
    /// The bytes of a message that is not whole.
    bytes: Vec<u8>,
}

impl MessageReader {
    /// Returns the messages that the next bytes of the connection complete.
    ///
    /// # Errors
    /// When a message is longer than ttrpc allows.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<TtrpcMessage>, WireError> {
        self.bytes.extend_from_slice(bytes);
        let mut messages = Vec::new();
        let mut rest = self.bytes.as_slice();
        while let Some((header, after)) = rest.split_first_chunk::<HEADER>() {
            let [a, b, c, d, e, f, g, h, kind, _] = *header;
            let length = u32::from_be_bytes([a, b, c, d]);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > MAX_TTRPC_MESSAGE {
                return Err(WireError::LongMessage(length));
            }
            let Some((payload, after)) = after.split_at_checked(length) else {
                break;
            };
            rest = after;
            messages.push(TtrpcMessage {
                stream: u32::from_be_bytes([e, f, g, h]),
                kind: match kind {
                    REQUEST => MessageType::Request,
                    RESPONSE => MessageType::Response,
                    _ => MessageType::Other,
                },
                payload: payload.to_owned(),
            });
        }
        let used = self.bytes.len() - rest.len();
        self.bytes.drain(..used);
        if self.bytes.is_empty() {
            // A long message has left room that the next ones do not need.
            self.bytes = Vec::new();
        }
        Ok(messages)
    }
}

/// A call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TtrpcRequest {
    /// The service.
    pub(super) service: String,
    /// The method.
    pub(super) method: String,
    /// The message with the arguments.
    pub(super) payload: Vec<u8>,
}

impl TtrpcRequest {
    /// Parses the payload of a request. Timeout and metadata are not kept.
    ///
    /// # Errors
    /// When the bytes are no protobuf message.
    pub(super) fn parse(bytes: &[u8]) -> Result<TtrpcRequest, FieldError> {
        let mut request = TtrpcRequest::default();
        for field in FieldReader::new(bytes) {
            match field? {
                (1, value) => request.service = value.text().into_owned(),
                (2, value) => request.method = value.text().into_owned(),
                (3, value) => request.payload = value.bytes().to_owned(),
                _ => {}
            }
        }
        Ok(request)
    }

    /// Returns the whole message with that stream.
    #[must_use]
    pub(super) fn message(&self, stream: u32) -> Vec<u8> {
        let fields = FieldWriter::default()
            .bytes(1, &self.service)
            .bytes(2, &self.method)
            .bytes(3, &self.payload);
        message(stream, REQUEST, &fields.message())
    }
}

/// Returns the whole message that answers the request of that stream with success.
#[must_use]
pub(super) fn success(stream: u32, payload: &[u8]) -> Vec<u8> {
    let fields = FieldWriter::default().bytes(2, payload);
    message(stream, RESPONSE, &fields.message())
}

/// Returns the error in the payload of a response, as text; `None` for success.
///
/// # Errors
/// When the bytes are no protobuf message.
pub(super) fn error_of(response: &[u8]) -> Result<Option<String>, FieldError> {
    let mut found = None;
    for field in FieldReader::new(response) {
        let (1, status) = field? else {
            continue;
        };
        let (mut code, mut text) = (0, String::new());
        for field in FieldReader::new(status.bytes()) {
            match field? {
                (1, value) => code = value.number(),
                (2, value) => text = value.text().into_owned(),
                _ => {}
            }
        }
        found = (code != 0).then(|| format!("{text} (code {code})"));
    }
    Ok(found)
}

fn message(stream: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default();
    let header = [length.to_be_bytes(), stream.to_be_bytes()].concat();
    [&header, &[kind, 0][..], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    fn read(bytes: &[u8], size: usize) -> Result<Vec<TtrpcMessage>, WireError> {
        let mut reader = MessageReader::default();
        let mut messages = Vec::new();
        for piece in bytes.chunks(size) {
            messages.extend(reader.read(piece)?);
        }
        Ok(messages)
    }

    #[test]
    fn a_message_is_its_length_its_stream_its_type_and_its_payload() {
        assert_eq!(success(5, b""), b"\0\0\0\0\0\0\0\x05\x02\0");
        assert_eq!(success(5, b"a"), b"\0\0\0\x03\0\0\0\x05\x02\0\x12\x01a");
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_by_its_header() {
        let length = u32::try_from(MAX_TTRPC_MESSAGE + 1).unwrap();
        let header = [&length.to_be_bytes()[..], &[0; 6]].concat();
        let refused = WireError::LongMessage(MAX_TTRPC_MESSAGE + 1);
        assert_eq!(read(&header, 1), Err(refused));
    }

    #[test]
    fn the_error_of_a_response_is_its_status_and_code_0_is_none() {
        let status = |code| {
            FieldWriter::default()
                .number(1, code)
                .bytes(2, "no such name")
        };
        let response = |code| {
            FieldWriter::default()
                .item(1, status(code).message())
                .message()
        };
        let error = error_of(&response(5)).unwrap().unwrap();
        assert_eq!(error, "no such name (code 5)");
        assert_eq!(error_of(&response(0)), Ok(None));
        assert_eq!(error_of(b""), Ok(None));
    }

    proptest! {
        #[test]
        fn a_call_is_read_as_it_was_written_however_its_bytes_are_cut(
            calls in prop::collection::vec((any::<u32>(), ".{0,20}", ".{0,20}", prop::collection::vec(any::<u8>(), 0..3000)), 0..5),
            size in 1_usize..5000,
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (stream, service, method, payload) in calls {
                let request = TtrpcRequest { service, method, payload };
                bytes.extend(request.message(stream));
                expected.push((stream, MessageType::Request, request));
            }
            let read = read(&bytes, size).unwrap().into_iter().map(|message| {
                (message.stream, message.kind, TtrpcRequest::parse(&message.payload).unwrap())
            });
            prop_assert_eq!(read.collect::<Vec<_>>(), expected);
        }

        #[test]
        fn no_bytes_of_a_connection_panic(bytes: Vec<u8>, size in 1_usize..20) {
            let _ = (TtrpcRequest::parse(&bytes), error_of(&bytes));
            if let Ok(messages) = read(&bytes, size) {
                prop_assert!(messages.len() * HEADER <= bytes.len());
            }
        }
    }
}
