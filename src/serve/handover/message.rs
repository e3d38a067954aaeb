//! Pure. What daemons, and a daemon and its keeper, say to each other: a word, and names of the
//! descriptors that travel along.

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// These descriptors are to be held, in place of all before; or are handed over.
    Hold(Vec<String>),
    /// Readers are the sender's from now on, or its successor's after its death.
    Serving,
    /// The sender and its workers are well.
    Alive,
    /// The daemon on whose socket this comes ends for good: nobody is to take its place.
    Leaving,
    /// The sender can go on where the other one stops.
    Ready,
    /// The sender has answered all that it took, and takes nothing any more.
    Drained,
    /// The sender serves on: its service manager would start another one in its place.
    UnderSystemd,
    /// The sender serves on, or has another daemon serve: whoever would replace it is too late.
    ServesOn,
}

const HOLD: &str = "hold";

impl Message {
    /// The words of those that carry nothing.
    const PLAIN: [(Message, &'static str); 7] = [
        (Message::Serving, "serving"),
        (Message::Alive, "alive"),
        (Message::Leaving, "leaving"),
        (Message::Ready, "ready"),
        (Message::Drained, "drained"),
        (Message::UnderSystemd, "managed"),
        (Message::ServesOn, "staying"),
    ];

    /// The message as it is sent.
    #[must_use]
    pub fn text(&self) -> String {
        if let Message::Hold(names) = self {
            return format!("{HOLD} {}", names.join(" "));
        }
        let plain = Message::PLAIN.iter().find(|(message, _)| message == self);
        plain.map_or_else(String::new, |(_, word)| (*word).to_owned())
    }

    /// The message in a text; `None` for one of another version, and for none at all.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Message> {
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.split(' ');
        let first = words.next()?;
        if first == HOLD {
            return Some(Message::Hold(words.map(str::to_owned).collect()));
        }
        let plain = Message::PLAIN.into_iter().find(|(_, word)| *word == text);
        plain.map(|(message, _)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let hold = Message::Hold(vec!["a".to_owned(), "b".to_owned()]);
        let plain = Message::PLAIN.map(|(message, _)| message);
        for message in plain.into_iter().chain([hold]) {
            assert_eq!(Message::parse(message.text().as_bytes()), Some(message));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<Vec<u8>>()) {
            let _ = Message::parse(&text);
        }
    }
}
