//! Pure. The conversation of a plugin with a runtime: bytes in, bytes out, and what the runtime said.
//!
//! ```text
//! plugin  -> RegisterPlugin                 -> Heard::Registered, or Heard::Refused
//! runtime -> Configure, maybe before that   -> Heard::Configured
//!            Synchronize, in parts          -> Heard::Listed
//!            StartContainer, StateChange    -> Heard::Starts, answered by `answer_start`
//!            any other call                 answered with success
//! ```
//!
//! No answer is an error: a runtime fails the start of a container whose plugin answers one. A call that
//! is unknown or garbled is answered with success and an empty message, which is valid for each method.

use super::{
    error::WireError,
    fields::FieldError,
    messages::{
        self, ListedPart, NriRuntime, Pod, PodContainer, registration, subscription, synchronized,
    },
    mux::{PLUGIN_SERVICE, RUNTIME_SERVICE, TrunkReader, write_frames},
    ttrpc::{self, MessageReader, MessageType, TtrpcMessage, TtrpcRequest},
};
use std::collections::HashMap;

/// The stream of the one call of the plugin.
const REGISTRATION: u32 = 1;

/// The maximum number of pods, and of containers, that a runtime lists.
const MAX_LISTED: usize = 1 << 16;

/// A statement of the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The runtime has registered the plugin.
    Registered,
    /// The runtime has refused the plugin; with the reason.
    Refused(String),
    /// The runtime has introduced itself.
    Configured(NriRuntime),
    /// The containers of the runtime that run. The answer is in the output already.
    Listed(Vec<(Pod, PodContainer)>),
    /// A container starts when [`Conversation::answer_start`] has answered that stream.
    Starts {
        /// The stream of the call.
        stream: u32,
        /// The pod and the container.
        container: Box<(Pod, PodContainer)>,
    },
    /// A call could not be read, and was answered all the same.
    Garbled {
        /// The method; empty if it is unknown.
        method: String,
        /// The error.
        error: FieldError,
    },
}

/// A conversation on one connection to a runtime.
#[derive(Debug, Default)]
pub struct Conversation {
    trunk: TrunkReader,
    calls: MessageReader,
    answers: MessageReader,
    output: Vec<u8>,
    pods: HashMap<String, Pod>,
    containers: Vec<PodContainer>,
}

impl Conversation {
    /// A conversation that begins with the registration of the plugin `name`, whose turn among the
    /// plugins is `index`, two digits.
    #[must_use]
    pub fn new(name: &str, index: &str) -> Conversation {
        let mut conversation = Conversation::default();
        let call = TtrpcRequest {
            service: messages::RUNTIME.to_owned(),
            method: "RegisterPlugin".to_owned(),
            payload: registration(name, index),
        };
        let call = call.message(REGISTRATION);
        write_frames(&mut conversation.output, RUNTIME_SERVICE, &call);
        conversation
    }

    /// Returns the bytes to send. The caller removes those that the runtime has got.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Returns whether there are bytes to send.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads the next bytes of the runtime, and returns what the runtime said.
    ///
    /// # Errors
    /// When no runtime sends such bytes. The connection must be closed then.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Heard>, WireError> {
        let mut heard = Vec::new();
        for (connection, piece) in self.trunk.read(bytes)? {
            match connection {
                PLUGIN_SERVICE => {
                    for message in self.calls.read(piece)? {
                        if message.kind == MessageType::Request {
                            heard.extend(self.called(&message)?);
                        }
                    }
                }
                RUNTIME_SERVICE => {
                    let messages = self.answers.read(piece)?;
                    heard.extend(messages.iter().filter_map(registered));
                }
                // The runtime may have services that this version does not know.
                _ => {}
            }
        }
        Ok(heard)
    }

    /// Tells the runtime that it may start the container of that stream.
    pub fn answer_start(&mut self, stream: u32) {
        self.answer(stream, &[]);
    }

    fn answer(&mut self, stream: u32, payload: &[u8]) {
        let response = ttrpc::success(stream, payload);
        write_frames(&mut self.output, PLUGIN_SERVICE, &response);
    }

    fn called(&mut self, message: &TtrpcMessage) -> Result<Option<Heard>, WireError> {
        let stream = message.stream;
        let request = match TtrpcRequest::parse(&message.payload) {
            Ok(request) => request,
            Err(error) => return Ok(Some(self.garbled(stream, "", error))),
        };
        let (method, payload) = (request.method.as_str(), request.payload.as_slice());
        let heard = match method {
            "Configure" => {
                self.answer(stream, &subscription());
                NriRuntime::parse(payload).map(|runtime| Some(Heard::Configured(runtime)))
            }
            "Synchronize" => match ListedPart::parse(payload) {
                Ok(part) => return self.list(stream, part),
                Err(error) => Err(error),
            },
            "StartContainer" => messages::started(payload).map(|start| Some(starts(stream, start))),
            "StateChange" => match messages::started_by_state(payload) {
                Ok(Some(start)) => Ok(Some(starts(stream, start))),
                Ok(None) => {
                    self.answer(stream, &[]);
                    Ok(None)
                }
                Err(error) => Err(error),
            },
            _ => {
                self.answer(stream, &[]);
                Ok(None)
            }
        };
        Ok(match heard {
            Ok(heard) => heard,
            // The answer to `Configure` does not depend on its arguments.
            Err(_) if method == "Configure" => Some(Heard::Configured(NriRuntime::default())),
            Err(error) => Some(self.garbled(stream, method, error)),
        })
    }

    fn garbled(&mut self, stream: u32, method: &str, error: FieldError) -> Heard {
        self.answer(stream, &[]);
        Heard::Garbled {
            method: method.to_owned(),
            error,
        }
    }

    fn list(&mut self, stream: u32, part: ListedPart) -> Result<Option<Heard>, WireError> {
        self.answer(stream, &synchronized(part.more));
        let pods = part.pods.into_iter().map(|pod| (pod.id.clone(), pod));
        self.pods.extend(pods);
        self.containers.extend(part.containers);
        if self.pods.len().max(self.containers.len()) > MAX_LISTED {
            return Err(WireError::ManyContainers(MAX_LISTED));
        }
        if part.more {
            return Ok(None);
        }
        let pods = std::mem::take(&mut self.pods);
        let containers = std::mem::take(&mut self.containers).into_iter();
        let listed = containers.map(|container| {
            let pod = pods.get(&container.pod).cloned();
            (pod.unwrap_or_default(), container)
        });
        Ok(Some(Heard::Listed(listed.collect())))
    }
}

fn starts(stream: u32, start: (Pod, PodContainer)) -> Heard {
    Heard::Starts {
        stream,
        container: Box::new(start),
    }
}

/// Returns the answer of the runtime to the registration; `None` for another message.
fn registered(message: &TtrpcMessage) -> Option<Heard> {
    let is_answer = message.kind == MessageType::Response && message.stream == REGISTRATION;
    is_answer.then(|| match ttrpc::error_of(&message.payload) {
        Ok(None) => Heard::Registered,
        Ok(Some(reason)) => Heard::Refused(reason),
        Err(error) => Heard::Refused(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::nri::fields::FieldWriter;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    fn fields() -> FieldWriter {
        FieldWriter::default()
    }

    /// Returns a call of the runtime as bytes of the trunk.
    fn call(stream: u32, method: &str, payload: &[u8]) -> Vec<u8> {
        let request = TtrpcRequest {
            service: "nri.pkg.api.v1alpha1.Plugin".to_owned(),
            method: method.to_owned(),
            payload: payload.to_owned(),
        };
        let mut trunk = Vec::new();
        write_frames(&mut trunk, PLUGIN_SERVICE, &request.message(stream));
        trunk
    }

    /// Returns the streams and payloads of the answers in the output, which is emptied.
    fn answers(conversation: &mut Conversation) -> Vec<(u32, Vec<u8>)> {
        let output = std::mem::take(conversation.output());
        let mut reader = MessageReader::default();
        let mut answers = Vec::new();
        for (connection, piece) in TrunkReader::default().read(&output).unwrap() {
            if connection == PLUGIN_SERVICE {
                for message in reader.read(piece).unwrap() {
                    assert_eq!(message.kind, MessageType::Response);
                    answers.push((message.stream, message.payload));
                }
            }
        }
        answers
    }

    #[test]
    fn a_conversation_begins_with_the_registration() {
        let mut conversation = Conversation::new("plimsoll", "90");
        let output = conversation.output().clone();
        let pieces = TrunkReader::default().read(&output).unwrap();
        assert_eq!(pieces[0].0, RUNTIME_SERVICE);
        let message = &MessageReader::default().read(pieces[0].1).unwrap()[0];
        let request = TtrpcRequest::parse(&message.payload).unwrap();
        assert_eq!(
            (message.stream, request.method.as_str()),
            (1, "RegisterPlugin")
        );
    }

    #[test]
    fn an_unknown_call_a_garbled_one_and_another_event_are_answered_with_success_at_once() {
        let mut conversation = Conversation::default();
        for (method, payload) in [
            ("ValidateContainerAdjustment", &b""[..]),
            ("Shutdown", b""),
            ("StartContainer", b"\x0b"),
            ("StateChange", b"\x08\x01"),
            ("StateChange", b"\xff"),
            ("Synchronize", b"\x0b"),
        ] {
            conversation.read(&call(7, method, payload)).unwrap();
            assert_eq!(answers(&mut conversation), [(7, Vec::new())], "{method}");
        }
    }

    #[test]
    fn a_start_is_answered_only_when_the_caller_says_so() {
        let mut conversation = Conversation::default();
        let container = fields().bytes(1, "id").number(12, 4711).message();
        let start = call(3, "StartContainer", &fields().item(2, container).message());
        let heard = conversation.read(&start).unwrap();
        let [
            Heard::Starts {
                stream: 3,
                container,
            },
        ] = heard.as_slice()
        else {
            panic!("{heard:?}");
        };
        assert_eq!(container.1.pid, 4711);
        assert_eq!(answers(&mut conversation), []);
        conversation.answer_start(3);
        assert_eq!(answers(&mut conversation), [(3, Vec::new())]);
    }

    #[test]
    fn a_list_in_parts_is_answered_part_by_part_and_told_at_its_end() {
        let mut conversation = Conversation::default();
        let pod = fields().bytes(1, "p").bytes(4, "default").message();
        let first = fields().item(1, pod).number(3, 1).message();
        let heard = conversation.read(&call(1, "Synchronize", &first)).unwrap();
        assert_eq!(heard, []);
        // SynchronizeResponse{more: true} in Response.payload.
        assert_eq!(answers(&mut conversation), [(1, vec![0x12, 2, 0x10, 1])]);
        let container = fields().bytes(1, "c").bytes(2, "p").message();
        let last = fields().item(2, container).message();
        let heard = conversation.read(&call(3, "Synchronize", &last)).unwrap();
        let [Heard::Listed(listed)] = heard.as_slice() else {
            panic!("{heard:?}");
        };
        let names = listed
            .iter()
            .map(|(pod, container)| (&*pod.namespace, &*container.id));
        assert_eq!(names.collect::<Vec<_>>(), [("default", "c")]);
        assert_eq!(answers(&mut conversation), [(3, Vec::new())]);
    }

    #[test]
    fn the_answer_to_the_registration_may_come_after_the_first_call() {
        let mut conversation = Conversation::new("plimsoll", "90");
        let mut trunk = call(1, "Configure", &fields().bytes(2, "crio").message());
        write_frames(&mut trunk, RUNTIME_SERVICE, &ttrpc::success(1, b""));
        let heard = conversation.read(&trunk).unwrap();
        assert!(matches!(
            heard.as_slice(),
            [Heard::Configured(_), Heard::Registered]
        ));
        // ConfigureResponse{events: START_CONTAINER} in Response.payload.
        assert_eq!(answers(&mut conversation), [(1, vec![0x12, 2, 0x10, 0x20])]);
    }

    #[test]
    fn a_refused_registration_is_told_with_the_reason() {
        let mut conversation = Conversation::new("plimsoll", "90");
        let status = fields()
            .number(1, 2)
            .bytes(2, "invalid plugin name")
            .message();
        let response = fields().item(1, status).message();
        let header = b"\0\0\0\x19\0\0\0\x01\x02\0";
        assert_eq!(response.len(), 0x19);
        let mut trunk = Vec::new();
        write_frames(
            &mut trunk,
            RUNTIME_SERVICE,
            &[&header[..], &response].concat(),
        );
        let refused = Heard::Refused("invalid plugin name (code 2)".to_owned());
        assert_eq!(conversation.read(&trunk), Ok(vec![refused]));
    }

    #[test]
    fn data_on_an_unknown_connection_is_dropped() {
        let mut conversation = Conversation::default();
        let mut trunk = Vec::new();
        write_frames(&mut trunk, 9, &[0xff; 100]);
        assert_eq!(conversation.read(&trunk), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_runtime_panic(bytes: Vec<u8>) {
            let _ = Conversation::new("plimsoll", "90").read(&bytes);
        }

        #[test]
        fn each_call_that_is_no_start_is_answered_once(method in "[A-Za-z]{0,20}", payload: Vec<u8>, stream: u32) {
            let mut conversation = Conversation::default();
            let heard = conversation.read(&call(stream, &method, &payload)).unwrap();
            let starts = heard.iter().any(|heard| matches!(heard, Heard::Starts { .. }));
            let answers = answers(&mut conversation);
            prop_assert_eq!(answers.len(), usize::from(!starts));
            prop_assert!(answers.iter().all(|(answered, _)| *answered == stream));
        }
    }
}
