//! Successors are let in: one is handed the descriptors, says that it is ready, and goes on as soon as
//! this daemon has answered all that it took.
//!
//! Whatever goes wrong with the successor before it serves, this daemon goes on. Each of the two,
//! and each one's keeper, may be killed at any moment: whoever goes on says so, and whoever says
//! nothing does not.

use super::{Event, instance::Instance, supervisor::Supervisor};
use crate::{
    base::sys::fd,
    serve::{
        handover::{Descriptors, KEEPER, Message},
        wire::{GATE, Side, resend_requests},
    },
};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr, bind, getsockopt, listen,
    shutdown, socket, sockopt::PeerCredentials,
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
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// How long the workers may take to come to rest.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Where successors ask.
#[derive(Debug)]
pub(super) struct ReplaceListener(OwnedFd);

impl ReplaceListener {
    /// Opens it there, in place of one that is left over.
    pub(super) fn open(path: &Path) -> Result<ReplaceListener> {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        let _ = fs::remove_file(path);
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listen(&socket, Backlog::new(4)?)?;
        Ok(ReplaceListener(socket))
    }

    /// Lets successors in, one after the other, until one has taken over.
    pub(super) fn attend(&self, work: &Handover, events: &Sender<Event>) {
        loop {
            let Ok(successor) = fd::accept(&self.0) else {
                thread::sleep(ACCEPT_RETRY_INTERVAL);
                continue;
            };
            let is_root = getsockopt(&successor, PeerCredentials).is_ok_and(|peer| peer.uid() == 0);
            match is_root.then(|| work.hand_over(&successor)) {
                Some(Ok(Visit::Replaced)) => {
                    let _ = events.send(Event::Replaced);
                    return;
                }
                Some(Ok(Visit::Asked)) => tracing::debug!("somebody asked what is held"),
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
    says_so(Descriptors::hear(successor))
        || shutdown(successor.as_raw_fd(), Shutdown::Read).is_ok()
            && says_so(Descriptors::receive(successor))
}

/// How a visit ends that does not go wrong.
enum Visit {
    /// The visitor has taken over.
    Replaced,
    /// It has only looked at what is held.
    Asked,
}

/// What is handed over, and how it is brought to rest.
#[derive(Debug)]
pub(super) struct Handover {
    supervisor: Arc<Supervisor>,
    held: Descriptors,
    points: Vec<PathBuf>,
    workers: usize,
}

impl Handover {
    pub(super) fn of(instance: &Instance, supervisor: &Arc<Supervisor>) -> Result<Handover> {
        Ok(Handover {
            supervisor: Arc::clone(supervisor),
            held: instance.held()?,
            points: instance.points(),
            workers: instance.workers(),
        })
    }

    fn hand_over(&self, successor: &OwnedFd) -> Result<Visit> {
        // A keeper may have died, and be another one since.
        let keeper = self.supervisor.socket()?;
        let more = keeper.as_ref().map(|keeper| (KEEPER, keeper.as_fd()));
        self.held.send_with(successor, more)?;
        drop(keeper);
        match Descriptors::hear(successor)? {
            Some((Message::Ready, _)) if matches!(*self.supervisor, Supervisor::Systemd) => {
                Descriptors::say(successor, &Message::UnderSystemd)?;
                bail!("systemd would start another one: systemctl restart");
            }
            Some((Message::Ready, _)) => {}
            None => return Ok(Visit::Asked),
            _ => bail!("it did not become ready"),
        }
        let result = self.rest().and_then(|()| {
            Descriptors::say(successor, &Message::Drained)?;
            if !serves(successor) {
                bail!("it did not serve");
            }
            Ok(())
        });
        if result.is_err() {
            let _ = Descriptors::say(successor, &Message::ServesOn);
            // One of another version may have taken requests before it died.
            for (name, device) in self.held.iter() {
                let is_device = Side::from_name(name).is_some();
                let can = is_device && resend_requests(device);
                tracing::debug!(name, can, "what it took is given out again");
            }
            GATE.open();
        }
        result.map(|()| Visit::Replaced)
    }

    /// Brings the workers to rest between two requests.
    pub(super) fn rest(&self) -> Result<()> {
        let poke = || {
            for point in self.points.clone() {
                // It may have to wait for the successor.
                thread::spawn(move || nix::sys::statfs::statfs(&point));
            }
        };
        if GATE.close(self.workers, DRAIN_TIMEOUT, poke) {
            return Ok(());
        }
        bail!("a request is not answered");
    }
}
