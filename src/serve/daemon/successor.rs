//! The successor, as its predecessor sees it: let in, handed the descriptors, and waited for.
//!
//! The predecessor serves on after any failure of the successor before the successor serves. Each
//! daemon and each keeper may be killed at any moment: a daemon that serves on sends a message, and a
//! dead daemon sends nothing. The sequence of messages is drawn in
//! [`handover`](crate::serve::handover).

use super::{instance::Instance, settings::Event, supervisor::Supervisor};
use crate::{
    base::{state::TermWord, sys::fd},
    serve::{
        handover::{Channel, Descriptors, Message, Name, Received},
        wire::{GATE, resend_requests},
    },
};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket,
    sockopt::PeerCredentials,
};
use std::{
    fs,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Sender},
    thread,
    time::Duration,
};

/// The pause after a connection that could not be accepted.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// The maximum time that the workers may take to answer the requests that they took.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The socket to which successors connect.
#[derive(Debug)]
pub(super) struct ReplaceListener(OwnedFd);

impl ReplaceListener {
    /// Listens at `path`, in place of a socket that a dead daemon left there. Only root may connect.
    pub(super) fn bind(path: &Path) -> Result<ReplaceListener> {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        let _ = fs::remove_file(path);
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listen(&socket, Backlog::new(4)?)?;
        Ok(ReplaceListener(socket))
    }

    /// Serves successors, one after the other, until one has taken over, and sends
    /// [`Event::Replaced`] then.
    pub(super) fn run(&self, handover: &Handover, events: &Sender<Event>) {
        loop {
            let Ok(successor) = fd::accept(&self.0) else {
                thread::sleep(ACCEPT_RETRY_INTERVAL);
                continue;
            };
            let is_root = getsockopt(&successor, PeerCredentials).is_ok_and(|peer| peer.uid() == 0);
            match is_root.then(|| handover.run(&mut successor.into())) {
                Some(Ok(HandoverOutcome::Replaced)) => {
                    let _ = events.send(Event::Replaced);
                    return;
                }
                Some(Ok(HandoverOutcome::Looked)) => {
                    tracing::debug!("a process asked for the descriptors")
                }
                Some(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "a successor did not take over: serving on");
                }
                None => {}
            }
        }
    }
}

/// Returns whether a successor has sent [`Message::Serving`]. A successor that sends the message
/// later gets EPIPE.
fn serves(successor: &mut Channel) -> bool {
    let is_serving = |received| matches!(received, Ok(Some(Received::Message(Message::Serving))));
    is_serving(successor.recv())
        || successor.stop_reading().is_ok() && is_serving(successor.recv_packet())
}

/// The outcome of a connection without an error.
enum HandoverOutcome {
    /// The successor has taken over.
    Replaced,
    /// The visitor has closed the connection after it got the descriptors.
    Looked,
}

/// The descriptors to hand over, and the means to drain this daemon.
#[derive(Debug)]
pub(super) struct Handover {
    supervisor: Arc<Supervisor>,
    descriptors: Descriptors,
    points: Vec<PathBuf>,
    workers: usize,
    term_word: TermWord,
    lineage: u32,
}

impl Handover {
    /// Prepares the hand-over of an instance.
    ///
    /// # Errors
    /// When descriptors cannot be duplicated.
    pub(super) fn new(instance: &Instance, supervisor: &Arc<Supervisor>) -> Result<Handover> {
        Ok(Handover {
            supervisor: Arc::clone(supervisor),
            descriptors: instance.descriptors()?,
            points: instance.points(),
            workers: instance.workers(),
            term_word: instance.term_word()?,
            lineage: instance.term.lineage,
        })
    }

    fn run(&self, successor: &mut Channel) -> Result<HandoverOutcome> {
        // The keeper may be another one than at the start of this daemon: see `Supervisor::attend`.
        let keeper = self.supervisor.keeper_socket()?;
        let keeper = keeper
            .as_ref()
            .map(|keeper| (&Name::Keeper, keeper.as_fd()));
        successor.send_descriptors_with(&self.descriptors, keeper)?;
        match successor.recv()? {
            Some(Received::Message(Message::Ready)) if self.supervisor.is_systemd() => {
                successor.send(Message::UnderSystemd)?;
                bail!("systemd would start another daemon: systemctl restart");
            }
            Some(Received::Message(Message::Ready)) => {}
            None => return Ok(HandoverOutcome::Looked),
            _ => bail!("the successor did not become ready"),
        }
        let result = self.drain().and_then(|()| {
            let offered = self
                .term_word
                .change(|right| right?.offered_by(self.lineage));
            offered.context("another daemon has claimed the right to serve")?;
            successor.send(Message::Drained)?;
            if !serves(successor) {
                bail!("the successor did not serve");
            }
            Ok(())
        });
        if result.is_err() {
            let kept = self.term_word.change(|right| right?.kept_by(self.lineage));
            if kept.is_none() {
                // The message of the successor is late or lost.
                return Ok(HandoverOutcome::Replaced);
            }
            let _ = successor.send(Message::ServesOn);
            // A successor of another version may have taken requests before it died.
            for (name, device) in self.descriptors.iter() {
                let is_device = matches!(name, Name::Device(_));
                let resent = is_device && resend_requests(device);
                tracing::debug!(%name, resent, "requests that the successor took are sent again");
            }
            GATE.open();
        }
        result.map(|()| HandoverOutcome::Replaced)
    }

    /// Stops the workers between two requests: each answers the request that it took.
    ///
    /// # Errors
    /// When a worker does not within [`DRAIN_TIMEOUT`].
    pub(super) fn drain(&self) -> Result<()> {
        let poke = || {
            for point in self.points.clone() {
                // On a thread, for the answer may have to come from the successor.
                thread::spawn(move || nix::sys::statfs::statfs(&point));
            }
        };
        if GATE.close(self.workers, DRAIN_TIMEOUT, poke) {
            return Ok(());
        }
        bail!("a request is not answered");
    }
}
