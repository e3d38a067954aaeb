//! The channel between two daemons, or between a daemon and its keeper.
//!
//! A set of descriptors travels in as many packets as it takes, each with the names of its
//! descriptors, its place in the set and the size of the set. The receiver has the set when the
//! last packet has arrived, and nothing before.

use super::{
    Descriptors, MAX_DESCRIPTORS, Message, Name,
    message::{Chunk, Packet},
};
use crate::base::sys::{
    fd,
    packet::{self, MAX_PACKET_BYTES, MAX_PACKET_FDS},
};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Shutdown, SockFlag, SockType, UnixAddr, connect, shutdown, socket,
    },
};
use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The maximum time that a daemon waits for one message, or for a whole set of descriptors.
pub const HANDOVER_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval at which a packet is sent again while too many descriptors are under way.
const SEND_RETRY_INTERVAL: Duration = Duration::from_millis(1);

const _: () = assert!(
    MAX_PACKET_FDS * (super::MAX_NAME_BYTES + 1) + 64 <= MAX_PACKET_BYTES,
    "the names of a full packet fit into its text"
);

/// An end of the channel, with the set of descriptors that is arriving there.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    arriving: Option<Arriving>,
}

/// A set of which some packets have arrived.
#[derive(Debug)]
struct Arriving {
    total: usize,
    descriptors: Descriptors,
}

/// The content of one or more packets.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Message),
    /// A whole set of descriptors.
    Descriptors(Descriptors),
    /// A part of a set of descriptors. Only [`Channel::recv_packet`] returns this.
    Part,
}

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Channel {
        Channel {
            socket,
            arriving: None,
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> OwnedFd {
        channel.socket
    }
}

impl Channel {
    /// Makes both ends of a new channel.
    ///
    /// # Errors
    /// The errors of `socketpair(2)`: EMFILE at a limit of descriptors.
    pub fn pair() -> nix::Result<(Channel, Channel)> {
        let (one, other) = fd::pair()?;
        Ok((one.into(), other.into()))
    }

    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// The errors of `socket(2)` and `connect(2)`: ENOENT and ECONNREFUSED when nobody listens.
    pub fn connect(path: &Path) -> nix::Result<Channel> {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(socket.into())
    }

    /// Sends a message. Does not wait: a message that the receiver cannot take is lost.
    ///
    /// # Errors
    /// The errors of [`packet::send`].
    pub fn send(&self, message: Message) -> nix::Result<()> {
        packet::send(&self.socket, message.text().as_bytes(), &[])
    }

    /// Sends duplicates of all descriptors.
    ///
    /// Waits only while the socket buffer is full, which about a thousand descriptors take to fill,
    /// and at most [`HANDOVER_TIMEOUT`] in all.
    ///
    /// # Errors
    /// E2BIG for more than [`MAX_DESCRIPTORS`], ETIMEDOUT when the receiver takes no more packets;
    /// otherwise those of [`packet::send`]. The receiver then never has the set.
    pub fn send_descriptors(&self, descriptors: &Descriptors) -> nix::Result<()> {
        self.send_descriptors_with(descriptors, None)
    }

    /// Sends duplicates of all descriptors and of one more, as [`Channel::send_descriptors`] does.
    ///
    /// # Errors
    /// The errors of [`Channel::send_descriptors`].
    pub fn send_descriptors_with(
        &self,
        descriptors: &Descriptors,
        more: Option<(&Name, BorrowedFd<'_>)>,
    ) -> nix::Result<()> {
        let all: Vec<(&Name, BorrowedFd<'_>)> = descriptors.iter().chain(more).collect();
        if all.len() > MAX_DESCRIPTORS {
            return Err(Errno::E2BIG);
        }
        let end = Instant::now() + HANDOVER_TIMEOUT;
        // An empty set is one packet, too.
        let empty: Option<&[_]> = all.is_empty().then_some(&[]);
        let mut first = 0;
        for part in all.chunks(MAX_PACKET_FDS).chain(empty) {
            let (names, fds): (Vec<&Name>, Vec<BorrowedFd<'_>>) = part.iter().copied().unzip();
            let chunk = Chunk {
                first,
                total: all.len(),
                names: names.into_iter().cloned().collect(),
            };
            self.send_until(end, chunk.text().as_bytes(), &fds)?;
            first += fds.len();
        }
        Ok(())
    }

    fn send_until(&self, end: Instant, text: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match packet::send(&self.socket, text, fds) {
                Err(Errno::EAGAIN) => fd::writable_within(&self.socket, left)?,
                // The receiver lowers that number with each packet that it takes.
                Err(Errno::ETOOMANYREFS) if !left.is_zero() => thread::sleep(SEND_RETRY_INTERVAL),
                Err(Errno::EINTR) => {}
                sent => return sent,
            }
        }
    }

    /// Waits for a message or a whole set of descriptors, at most [`HANDOVER_TIMEOUT`]. `None` when
    /// the other end is closed, or sends what this version does not understand.
    ///
    /// # Errors
    /// ETIMEDOUT, and those of [`Channel::recv_packet`].
    pub fn recv(&mut self) -> nix::Result<Option<Received>> {
        let end = Instant::now() + HANDOVER_TIMEOUT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            fd::readable_within(&self.socket, left)?;
            match self.recv_packet()? {
                Some(Received::Part) => {}
                received => return Ok(received),
            }
        }
    }

    /// Waits for one packet, without a timeout. `None` in the cases of [`Channel::recv`].
    ///
    /// # Errors
    /// ECONNRESET when the other end is closed before a set of descriptors was whole, EBADMSG when
    /// packets do not make a set, E2BIG for a set of more than [`MAX_DESCRIPTORS`]; otherwise those
    /// of [`packet::receive`]. All descriptors of an unfinished set are closed then.
    pub fn recv_packet(&mut self) -> nix::Result<Option<Received>> {
        let (text, fds) = match packet::receive(&self.socket) {
            Ok(received) => received,
            Err(error) => {
                self.arriving = None;
                return Err(error);
            }
        };
        match Packet::parse(&text) {
            Some(Packet::Message(message)) => Ok(Some(Received::Message(message))),
            Some(Packet::Chunk(chunk)) => self.add(chunk, fds).map(Some),
            None if self.arriving.take().is_some() => Err(Errno::ECONNRESET),
            None => Ok(None),
        }
    }

    fn add(&mut self, chunk: Chunk, fds: Vec<OwnedFd>) -> nix::Result<Received> {
        let before = self.arriving.take();
        if chunk.total > MAX_DESCRIPTORS {
            return Err(Errno::E2BIG);
        }
        let mut descriptors = match before {
            // A sender that stopped in the midst of a set begins again with the first packet.
            _ if chunk.first == 0 => Descriptors::default(),
            Some(set) if (set.total, set.descriptors.len()) == (chunk.total, chunk.first) => {
                set.descriptors
            }
            _ => return Err(Errno::EBADMSG),
        };
        if chunk.names.len() != fds.len() || descriptors.len() + fds.len() > chunk.total {
            return Err(Errno::EBADMSG);
        }
        for (name, fd) in chunk.names.into_iter().zip(fds) {
            descriptors.push(name, fd);
        }
        if descriptors.len() == chunk.total {
            return Ok(Received::Descriptors(descriptors));
        }
        self.arriving = Some(Arriving {
            total: chunk.total,
            descriptors,
        });
        Ok(Received::Part)
    }

    /// Waits at most [`HANDOVER_TIMEOUT`] for a message, and leaves it in the channel for the next
    /// process that reads. `None` in the cases of [`Channel::recv`], and for descriptors.
    ///
    /// # Errors
    /// ETIMEDOUT, and those of [`packet::peek`].
    pub fn peek(&self) -> nix::Result<Option<Message>> {
        fd::readable_within(&self.socket, HANDOVER_TIMEOUT)?;
        Ok(Message::parse(&packet::peek(&self.socket)?))
    }

    /// Returns whether a process holds the other end.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        fd::closed_within(&self.socket, Duration::ZERO) == Err(Errno::ETIMEDOUT)
    }

    /// Stops reading: packets that have arrived can be received, and a process that sends later gets
    /// EPIPE.
    ///
    /// # Errors
    /// The errors of `shutdown(2)`.
    pub fn stop_reading(&self) -> nix::Result<()> {
        shutdown(self.socket.as_raw_fd(), Shutdown::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::{
        resource::{Resource, getrlimit, setrlimit},
        socket::{setsockopt, sockopt::SndBuf},
    };
    use std::{fs::File, io::Read, os::unix::fs::MetadataExt};

    /// A set of descriptors of one file, each with a name of its own.
    fn set(count: usize) -> Descriptors {
        let null: OwnedFd = File::open("/dev/null").unwrap().into();
        Descriptors::new((0..count).map(|number| {
            let name = Name::Unknown(format!("listener-{number}"));
            (name, null.try_clone().unwrap())
        }))
    }

    fn whole(channel: &mut Channel) -> Descriptors {
        match channel.recv().unwrap() {
            Some(Received::Descriptors(descriptors)) => descriptors,
            other => panic!("{other:?}"),
        }
    }

    fn may_open(count: u64) {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        if soft < count {
            setrlimit(Resource::RLIMIT_NOFILE, count, hard.max(count)).unwrap();
        }
    }

    #[test]
    fn descriptors_arrive_by_their_names() {
        let (here, mut there) = Channel::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut sent = set(2);
        sent.push(Name::Lock, writer.into());
        here.send_descriptors(&sent).unwrap();
        drop(sent);
        let mut arrived = whole(&mut there);
        let lock = arrived.take(&Name::Lock).unwrap();
        let inode = |fd: &OwnedFd| {
            let file = File::from(fd.try_clone().unwrap());
            file.metadata().unwrap().ino()
        };
        assert_eq!(inode(&lock), inode(&reader.try_clone().unwrap().into()));
        drop(lock);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn an_end_that_is_closed_is_no_message() {
        let (here, mut there) = Channel::pair().unwrap();
        here.send(Message::Alive).unwrap();
        drop(here);
        assert!(matches!(
            there.recv(),
            Ok(Some(Received::Message(Message::Alive)))
        ));
        assert!(matches!(there.recv(), Ok(None)));
    }

    #[test]
    fn a_channel_is_connected_while_the_other_end_is_held() {
        let (here, there) = Channel::pair().unwrap();
        there.stop_reading().unwrap();
        assert!(here.is_connected());
        drop(there);
        assert!(!here.is_connected());
    }

    #[test]
    fn five_thousand_descriptors_arrive_in_their_order() {
        may_open(12_000);
        let (here, mut there) = Channel::pair().unwrap();
        // Less than the set needs: the sender must wait for the receiver.
        setsockopt(&here, SndBuf, &16_384).unwrap();
        let sender = thread::spawn(move || {
            let sent = set(5000);
            here.send_descriptors(&sent).unwrap();
            sent
        });
        let arrived = whole(&mut there);
        let sent = sender.join().unwrap();
        assert_eq!(arrived.len(), 5000);
        assert!(
            arrived
                .iter()
                .map(|(name, _)| name)
                .eq(sent.iter().map(|(name, _)| name))
        );
    }

    #[test]
    fn a_sender_that_dies_between_two_packets_hands_nothing_over() {
        let (here, mut there) = Channel::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        packet::send(&here, b"part 0/3 lock state", &[null.as_fd(); 2]).unwrap();
        drop(here);
        assert_eq!(there.recv().unwrap_err(), Errno::ECONNRESET);
        assert!(there.arriving.is_none());
    }

    #[test]
    fn a_set_that_begins_anew_has_nothing_of_the_one_before() {
        let (here, mut there) = Channel::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        packet::send(&here, b"part 0/3 lock state", &[null.as_fd(); 2]).unwrap();
        here.send_descriptors(&set(1)).unwrap();
        assert_eq!(whole(&mut there).len(), 1);
    }

    #[test]
    fn a_message_between_two_packets_does_not_break_the_set() {
        let (here, mut there) = Channel::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        packet::send(&here, b"part 0/2 lock", &[null.as_fd()]).unwrap();
        here.send(Message::Alive).unwrap();
        packet::send(&here, b"part 1/2 state", &[null.as_fd()]).unwrap();
        assert!(matches!(
            there.recv(),
            Ok(Some(Received::Message(Message::Alive)))
        ));
        assert_eq!(whole(&mut there).len(), 2);
    }

    #[test]
    fn packets_that_make_no_set_are_an_error() {
        for (texts, error) in [
            (&["part 1/2 lock"][..], Errno::EBADMSG),
            (&["part 0/3 lock", "part 2/3 lock"], Errno::EBADMSG),
            (&["part 0/3 lock", "part 1/4 lock"], Errno::EBADMSG),
            (&["hold lock state"], Errno::EBADMSG),
            (&["part 0/0 lock"], Errno::EBADMSG),
            (&["part 0/8193 lock"], Errno::E2BIG),
        ] {
            let (here, mut there) = Channel::pair().unwrap();
            let null = File::open("/dev/null").unwrap();
            for text in texts {
                packet::send(&here, text.as_bytes(), &[null.as_fd()]).unwrap();
            }
            assert_eq!(there.recv().unwrap_err(), error, "{texts:?}");
        }
    }
}
