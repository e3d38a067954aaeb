//! A runtime of the tests that speaks NRI to a plugin: the protocol as the documents of NRI, ttrpc and
//! protobuf describe it, without any code of the program under test.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// The longest time for which a test waits for the plugin.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The connections on the socket: the calls of the runtime, and those of the plugin.
const TO_PLUGIN: u32 = 1;
const TO_RUNTIME: u32 = 2;

/// A field of a message: its number and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Number(u32, u64),
    Bytes(u32, Vec<u8>),
}

/// Returns a text as a field.
pub(super) fn text(number: u32, text: &str) -> Field {
    Field::Bytes(number, text.as_bytes().to_vec())
}

/// Returns a message as a field of another one.
pub(super) fn inner(number: u32, fields: &[Field]) -> Field {
    Field::Bytes(number, packed(fields))
}

/// Returns a message as bytes.
pub(super) fn packed(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        match field {
            Field::Number(number, value) => {
                put_varint(&mut bytes, u64::from(*number) * 8);
                put_varint(&mut bytes, *value);
            }
            Field::Bytes(number, value) => {
                put_varint(&mut bytes, u64::from(*number) * 8 + 2);
                put_varint(&mut bytes, value.len() as u64);
                bytes.extend(value);
            }
        }
    }
    bytes
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        bytes.push(u8::try_from(value % 128).unwrap() + 128);
        value /= 128;
    }
    bytes.push(value.try_into().unwrap());
}

/// Returns the fields of a message with numbers and bytes only.
pub(super) fn unpacked(mut bytes: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes);
        let number = u32::try_from(key / 8).unwrap();
        let value = take_varint(&mut bytes);
        fields.push(match key % 8 {
            0 => Field::Number(number, value),
            2 => {
                let (taken, rest) = bytes.split_at(value.try_into().unwrap());
                bytes = rest;
                Field::Bytes(number, taken.to_vec())
            }
            kind => panic!("wire type {kind}"),
        });
    }
    fields
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value += u64::from(byte % 128) << shift;
        shift += 7;
        if byte < 128 {
            return value;
        }
    }
}

/// A message of ttrpc.
#[derive(Debug)]
struct Message {
    connection: u32,
    stream: u32,
    kind: u8,
    payload: Vec<u8>,
}

/// A socket on which plugins register.
pub(super) struct FakeRuntime {
    listener: UnixListener,
    directory: tempfile::TempDir,
}

impl FakeRuntime {
    pub(super) fn new() -> FakeRuntime {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("nri.sock")).unwrap();
        listener.set_nonblocking(true).unwrap();
        FakeRuntime {
            listener,
            directory,
        }
    }

    /// Returns the path of the socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("nri.sock")
    }

    /// Waits for a plugin that connects.
    pub(super) fn accept(&self) -> Peer {
        let end = Instant::now() + TIMEOUT;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Peer::new(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(Instant::now() < end, "no plugin connects");
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for a plugin, registers it, and tells it that no container runs.
    pub(super) fn registered(&self) -> Peer {
        let mut peer = self.accept();
        let stream = peer.registration().0;
        peer.accept_registration(stream);
        peer.configure();
        peer.call("Synchronize", &[]);
        peer
    }
}

/// A plugin at the other end of a connection.
pub(super) struct Peer {
    stream: UnixStream,
    next_stream: u32,
    received: HashMap<u32, Vec<u8>>,
    answers: HashMap<u32, Vec<u8>>,
}

impl Peer {
    fn new(stream: UnixStream) -> Peer {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Peer {
            stream,
            next_stream: 1,
            received: HashMap::new(),
            answers: HashMap::new(),
        }
    }

    /// Sends bytes as they are.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) {
        // The plugin may have closed the connection at the first ones.
        let _ = self.stream.write_all(bytes);
    }

    /// Waits until the plugin closes the connection. Returns false if it does not.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Sends a call, and returns its stream.
    pub(super) fn send_call(&mut self, method: &str, payload: &[u8]) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let request = packed(&[
            text(1, "nri.pkg.api.v1alpha1.Plugin"),
            text(2, method),
            Field::Bytes(3, payload.to_vec()),
            Field::Number(4, 2_000_000_000),
            inner(5, &[text(1, "traceparent"), text(2, "00-00")]),
        ]);
        self.send(TO_PLUGIN, stream, 1, &request);
        stream
    }

    /// Returns the payload of the answer to the call of that stream, which must be a success.
    pub(super) fn answer(&mut self, stream: u32) -> Vec<u8> {
        while !self.answers.contains_key(&stream) {
            let message = self.message();
            assert_eq!((message.connection, message.kind), (TO_PLUGIN, 2));
            self.answers.insert(message.stream, message.payload);
        }
        let mut payload = Vec::new();
        for field in unpacked(&self.answers.remove(&stream).unwrap()) {
            match field {
                Field::Bytes(2, bytes) => payload = bytes,
                other => panic!("the answer is no success: {other:?}"),
            }
        }
        payload
    }

    /// Makes a call, and returns the payload of the answer.
    pub(super) fn call(&mut self, method: &str, payload: &[u8]) -> Vec<u8> {
        let stream = self.send_call(method, payload);
        self.answer(stream)
    }

    /// Introduces the runtime, and returns the answer.
    pub(super) fn configure(&mut self) -> Vec<u8> {
        let runtime = packed(&[
            text(2, "containerd"),
            text(3, "v9.9.9"),
            Field::Number(4, 5000),
            Field::Number(5, 2000),
        ]);
        self.call("Configure", &runtime)
    }

    /// Waits for the registration. Returns its stream, and the fields of its arguments.
    pub(super) fn registration(&mut self) -> (u32, Vec<Field>) {
        let message = self.message();
        assert_eq!((message.connection, message.kind), (TO_RUNTIME, 1));
        assert_eq!(message.stream % 2, 1);
        let mut fields = unpacked(&message.payload).into_iter();
        let service = text(1, "nri.pkg.api.v1alpha1.Runtime");
        assert_eq!(fields.next(), Some(service));
        assert_eq!(fields.next(), Some(text(2, "RegisterPlugin")));
        let Some(Field::Bytes(3, arguments)) = fields.next() else {
            panic!("there are no arguments");
        };
        (message.stream, unpacked(&arguments))
    }

    /// Answers the registration with success.
    pub(super) fn accept_registration(&mut self, stream: u32) {
        self.send(TO_RUNTIME, stream, 2, &[]);
    }

    /// Answers the registration with an error.
    pub(super) fn refuse_registration(&mut self, stream: u32) {
        let status = inner(1, &[Field::Number(1, 2), text(2, "invalid plugin")]);
        self.send(TO_RUNTIME, stream, 2, &packed(&[status]));
    }

    /// Sends a message in frames of 4096 bytes, as Go does.
    fn send(&mut self, connection: u32, stream: u32, kind: u8, payload: &[u8]) {
        let mut message = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
        message.extend(stream.to_be_bytes());
        message.extend([kind, 0]);
        message.extend(payload);
        let mut trunk = Vec::new();
        for piece in message.chunks(4096) {
            trunk.extend(connection.to_be_bytes());
            trunk.extend(u32::try_from(piece.len()).unwrap().to_be_bytes());
            trunk.extend(piece);
        }
        self.send_raw(&trunk);
    }

    fn message(&mut self) -> Message {
        loop {
            for (connection, bytes) in &mut self.received {
                if bytes.len() < 10 {
                    continue;
                }
                let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
                let end = 10 + number(0) as usize;
                if bytes.len() >= end {
                    let message = Message {
                        connection: *connection,
                        stream: number(4),
                        kind: bytes[8],
                        payload: bytes[10..end].to_vec(),
                    };
                    bytes.drain(..end);
                    return message;
                }
            }
            let mut header = [0; 8];
            self.stream.read_exact(&mut header).unwrap();
            let [a, b, c, d, e, f, g, h] = header;
            let length = u32::from_be_bytes([e, f, g, h]) as usize;
            // The buffer through which containerd reads.
            assert!((1..=4096).contains(&length), "a frame of {length} bytes");
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).unwrap();
            let connection = u32::from_be_bytes([a, b, c, d]);
            self.received.entry(connection).or_default().extend(payload);
        }
    }
}

/// The two ways in which runtimes tell of a start: by their versions of NRI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartCall {
    /// `StateChange`, before NRI 0.12.
    StateChange,
    /// `StartContainer`, from NRI 0.12 on.
    Dedicated,
}

/// Sends that a container starts, and returns the stream of the call.
pub(super) fn send_start(
    peer: &mut Peer,
    call: StartCall,
    pod: &[Field],
    container: &[Field],
) -> u32 {
    match call {
        StartCall::StateChange => {
            let event = Field::Number(1, 6);
            let change = packed(&[event, inner(2, pod), inner(3, container)]);
            peer.send_call("StateChange", &change)
        }
        StartCall::Dedicated => {
            let start = packed(&[inner(1, pod), inner(2, container)]);
            peer.send_call("StartContainer", &start)
        }
    }
}
