//! Successors are let in: one is handed the descriptors, says that it is ready, and goes on as soon as
//! this daemon has answered all that it took.
//!
//! Whatever goes wrong with the successor before it serves, this daemon goes on. Each of the two,
//! and each one's keeper, may be killed at any moment: whoever goes on says so, and whoever says
//! nothing does not.

use super::{Event, supervisor::Overseer, instance::Station};
use crate::{
    base::sys::fd,
    serve::{
        handover::{Held, KEEPER, Message},
        wire::{GATE, Side, give_out_again},
    },
};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr, accept4, bind, getsockopt,
    listen, shutdown, socket, sockopt::PeerCredentials,
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

/// How long nobody is let in when that fails.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the workers may take to come to rest.
const DRAINING: Duration = Duration::from_secs(2);

/// Where successors ask.
#[derive(Debug)]
pub(super) struct Door(OwnedFd);

impl Door {
    /// Opens it there, in place of one that is left over.
    pub(super) fn open(path: &Path) -> Result<Door> {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        let _ = fs::remove_file(path);
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listen(&socket, Backlog::new(4)?)?;
        Ok(Door(socket))
    }

    /// Lets successors in, one after the other, until one has taken over.
    pub(super) fn attend(&self, work: &Work, events: &Sender<Event>) {
        loop {
            let flags = SockFlag::SOCK_CLOEXEC;
            let Ok(number) = accept4(self.0.as_raw_fd(), flags) else {
                thread::sleep(PAUSE);
                continue;
            };
            let Ok(successor) = fd::inherited(number) else {
                continue;
            };
            let is_root = getsockopt(&successor, PeerCredentials).is_ok_and(|peer| peer.uid() == 0);
            match is_root.then(|| work.hand_over(&successor)) {
                Some(Ok(Outcome::Replaced)) => {
                    let _ = events.send(Event::Replaced);
                    return;
                }
                Some(Ok(Outcome::Asked)) => tracing::debug!("somebody asked what is held"),
                Some(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "a successor did not take over: serving on");
                }
                None => {}
            }
        }
    }
}

/// Whether a successor has said that it serves. If not, it is told that nobody listens as soon as
/// it says so.
fn serves(successor: &OwnedFd) -> bool {
    let says_so = |heard| matches!(heard, Ok(Some((Message::Serving, _))));
    says_so(Held::hear(successor))
        || shutdown(successor.as_raw_fd(), Shutdown::Read).is_ok()
            && says_so(Held::receive(successor))
}

/// How a visit ends that does not go wrong.
enum Outcome {
    /// The visitor has taken over.
    Replaced,
    /// It has only looked at what is held.
    Asked,
}

/// What is handed over, and how it is brought to rest.
#[derive(Debug)]
pub(super) struct Work {
    overseer: Arc<Overseer>,
    held: Held,
    points: Vec<PathBuf>,
    workers: usize,
}

impl Work {
    pub(super) fn of(station: &Station, overseer: &Arc<Overseer>) -> Result<Work> {
        Ok(Work {
            overseer: Arc::clone(overseer),
            held: station.held()?,
            points: station.points(),
            workers: station.workers(),
        })
    }

    fn hand_over(&self, successor: &OwnedFd) -> Result<Outcome> {
        // A keeper may have died, and be another one since.
        let keeper = self.overseer.socket()?;
        let more = keeper.as_ref().map(|keeper| (KEEPER, keeper.as_fd()));
        self.held.send_with(successor, more)?;
        drop(keeper);
        match Held::hear(successor)? {
            Some((Message::Ready, _)) if matches!(*self.overseer, Overseer::Systemd) => {
                Held::say(successor, &Message::Managed)?;
                bail!("systemd would start another one: systemctl restart");
            }
            Some((Message::Ready, _)) => {}
            None => return Ok(Outcome::Asked),
            _ => bail!("it did not become ready"),
        }
        let result = self.rest().and_then(|()| {
            Held::say(successor, &Message::Drained)?;
            if !serves(successor) {
                bail!("it did not serve");
            }
            Ok(())
        });
        if result.is_err() {
            let _ = Held::say(successor, &Message::Staying);
            // One of another version may have taken requests before it died.
            for (name, device) in self.held.iter() {
                let is_device = Side::named(name).is_some();
                let can = is_device && give_out_again(device);
                tracing::debug!(name, can, "what it took is given out again");
            }
            GATE.open();
        }
        result.map(|()| Outcome::Replaced)
    }

    /// Brings the workers to rest between two requests.
    pub(super) fn rest(&self) -> Result<()> {
        let poke = || {
            for point in self.points.clone() {
                // It may have to wait for the successor.
                thread::spawn(move || nix::sys::statfs::statfs(&point));
            }
        };
        if GATE.close(self.workers, DRAINING, poke) {
            return Ok(());
        }
        bail!("a request is not answered");
    }
}
