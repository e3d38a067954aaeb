//! Pure. The messages between daemons, and between a daemon and its keeper, as texts.

use super::Name;

/// A message that carries no descriptor. The enum names the meaning, [`Message::text`] the word on
/// the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// `serving`: the sender answers readers from now on. If the sender dies, its keeper must start
    /// another daemon.
    Serving,
    /// `alive`: the sender and its workers make progress.
    Alive,
    /// `leaving`: the daemon that owns this socket ends for good, and needs no successor.
    Leaving,
    /// `ready`: the sender can serve as soon as the receiver stops.
    Ready,
    /// `drained`: the sender has answered every request that it took, and takes no more.
    Drained,
    /// `managed`: the sender serves on, because systemd would start another daemon in its place.
    UnderSystemd,
    /// `staying`: the sender, or the next daemon of its keeper, serves on. The receiver must not.
    ServesOn,
}

/// The part of a set of descriptors that travels with one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The number of descriptors in the packets before.
    pub(super) first: usize,
    /// The number of descriptors in the whole set.
    pub(super) total: usize,
    /// The names of the descriptors of this packet, in their order.
    pub(super) names: Vec<Name>,
}

/// The text of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// A message.
    Message(Message),
    /// `hold NAME ..` for a set in one packet, `part FIRST/TOTAL NAME ..` for each of several.
    Chunk(Chunk),
}

// An older daemon understands these words on the wire, so they stay when a name in the enum changes:
// `managed` is `UnderSystemd`, and `staying` is `ServesOn`.
const WORDS: [(Message, &str); 7] = [
    (Message::Serving, "serving"),
    (Message::Alive, "alive"),
    (Message::Leaving, "leaving"),
    (Message::Ready, "ready"),
    (Message::Drained, "drained"),
    (Message::UnderSystemd, "managed"),
    (Message::ServesOn, "staying"),
];

const WHOLE: &str = "hold";
const PART: &str = "part";

impl Message {
    /// Returns the word on the wire.
    #[must_use]
    pub fn text(self) -> &'static str {
        let word = WORDS.iter().find(|(message, _)| *message == self);
        word.map_or("", |(_, word)| word)
    }

    /// Reads a word. `None` for every other text.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Message> {
        let mut words = WORDS.into_iter();
        let word = words.find(|(_, word)| word.as_bytes() == text);
        word.map(|(message, _)| message)
    }
}

impl Chunk {
    /// Returns the text of the packet.
    pub(super) fn text(&self) -> String {
        let mut text = if self.first == 0 && self.total == self.names.len() {
            WHOLE.to_owned()
        } else {
            format!("{PART} {}/{}", self.first, self.total)
        };
        for name in &self.names {
            text.push(' ');
            text.push_str(name.as_str());
        }
        text
    }

    fn parse(text: &str) -> Option<Chunk> {
        let mut words = text.split(' ');
        let bounds = match words.next()? {
            WHOLE => None,
            PART => Some(words.next()?.split_once('/')?),
            _ => return None,
        };
        let names = words.map(Name::parse).collect::<Option<Vec<_>>>()?;
        let (first, total) = match bounds {
            None => (0, names.len()),
            Some((first, total)) => (first.parse().ok()?, total.parse().ok()?),
        };
        Some(Chunk {
            first,
            total,
            names,
        })
    }
}

impl Packet {
    /// Reads the text of a packet. `None` for one of another version.
    pub(super) fn parse(text: &[u8]) -> Option<Packet> {
        let message = Message::parse(text).map(Packet::Message);
        message.or_else(|| Chunk::parse(std::str::from_utf8(text).ok()?).map(Packet::Chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for (message, _) in WORDS {
            assert_eq!(Message::parse(message.text().as_bytes()), Some(message));
        }
    }

    #[test]
    fn a_chunk_is_read_as_it_was_written() {
        for (first, total) in [(0, 2), (0, 5000), (4998, 5000)] {
            let names = vec![Name::Lock, Name::State];
            let chunk = Chunk {
                first,
                total,
                names,
            };
            let text = chunk.text();
            assert_eq!(Packet::parse(text.as_bytes()), Some(Packet::Chunk(chunk)));
        }
    }

    #[test]
    fn a_set_that_fits_into_one_packet_has_no_bounds() {
        let names = vec![Name::Lock, Name::State];
        let chunk = Chunk {
            first: 0,
            total: 2,
            names,
        };
        assert_eq!(chunk.text(), "hold lock state");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<Vec<u8>>()) {
            let _ = Packet::parse(&text);
        }
    }
}
