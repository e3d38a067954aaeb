//! A daemon takes the place of one that serves: it is handed the descriptors, says that it is
//! ready, and goes on as soon as the other one has answered all that it took.
//!
//! Whatever goes wrong with the successor before it serves, the other one goes on.

use super::{Event, overseer::Overseer, place, station::Station};
use crate::{
    fuse::{GATE, Side, give_out_again},
    handover::{Held, KEEPER, Message},
    sys::fd,
};
use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt,
        listen, socket, sockopt::PeerCredentials,
    },
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
    time::{Duration, Instant},
};

/// How long one waits for the other to speak.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the workers may take to come to rest.
const DRAINING: Duration = Duration::from_secs(2);
/// How often it is asked again for a daemon that is about to serve.
const AGAIN: Duration = Duration::from_millis(10);

/// The daemon that serves on a mount point, while it is being replaced.
#[derive(Debug)]
pub(super) struct Predecessor {
    socket: OwnedFd,
    /// Where it speaks to its keeper, if it has one and lets a successor speak there.
    keeper: Option<OwnedFd>,
}

impl Predecessor {
    /// Asks the daemon that serves there for all that it holds. One that has died is waited for
    /// until another one has taken its place.
    pub(super) fn ask(mountpoint: &Path) -> Result<(Predecessor, Held)> {
        let end = Instant::now() + PATIENCE;
        loop {
            match Predecessor::ask_once(mountpoint) {
                // Whoever has the next one serve holds the place for it.
                Err(_) if Instant::now() < end && place::is_held(mountpoint)? => {
                    thread::sleep(AGAIN);
                }
                asked => return asked,
            }
        }
    }

    fn ask_once(mountpoint: &Path) -> Result<(Predecessor, Held)> {
        let path = place::file(mountpoint, "socket")?;
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(&path)?)
            .context("no daemon serves there that could be replaced")?;
        let mut predecessor = Predecessor {
            socket,
            keeper: None,
        };
        match predecessor.heard()? {
            Some((Message::Hold(_), mut held)) => {
                predecessor.keeper = held.take(KEEPER);
                Ok((predecessor, held))
            }
            _ => bail!("the daemon that serves there does not let itself be replaced"),
        }
    }

    /// Has it answer what it took, and take nothing more.
    pub(super) fn drain(&self) -> Result<()> {
        self.say(&Message::Ready)?;
        match self.heard()? {
            Some((Message::Drained, _)) => Ok(()),
            Some((Message::Managed, _)) => {
                bail!("systemd watches over the daemon that serves there: systemctl restart it")
            }
            _ => bail!("the daemon that serves there does not come to rest"),
        }
    }

    /// Tells it to end, and its keeper that nobody is to take its place: of one that was killed
    /// before, and whose place another one takes therefore, this is an error.
    pub(super) fn dismiss(self) -> Result<()> {
        self.say(&Message::Serving)?;
        let Some(keeper) = &self.keeper else {
            return Ok(());
        };
        fd::send(keeper, Message::Leaving.text().as_bytes(), &[])
            .context("another daemon has taken the place of the one that was to be replaced")
    }

    fn say(&self, message: &Message) -> Result<()> {
        let text = message.text();
        fd::send(&self.socket, text.as_bytes(), &[]).context("the other daemon is gone")
    }

    fn heard(&self) -> Result<Option<(Message, Held)>> {
        heard(&self.socket).context("the other daemon does not answer")
    }
}

fn heard(socket: &OwnedFd) -> nix::Result<Option<(Message, Held)>> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout)? {
        0 => Err(Errno::ETIMEDOUT),
        _ => Held::receive(socket),
    }
}

/// Where successors ask.
#[derive(Debug)]
pub(super) struct Door {
    socket: OwnedFd,
    path: PathBuf,
}

impl Door {
    /// Opens the door of the daemon on that mount point, in place of one that is left over.
    pub(super) fn open(mountpoint: &Path) -> Result<Door> {
        let path = place::file(mountpoint, "socket")?;
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        let _ = fs::remove_file(&path);
        bind(socket.as_raw_fd(), &UnixAddr::new(&path)?)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listen(&socket, Backlog::new(4)?)?;
        Ok(Door { socket, path })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets successors in, one after the other, until one has taken over.
    pub(super) fn attend(&self, work: &Work, events: &Sender<Event>) {
        loop {
            let flags = SockFlag::SOCK_CLOEXEC;
            let Ok(number) = accept4(self.socket.as_raw_fd(), flags) else {
                thread::sleep(PATIENCE);
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
        self.held.send_with(successor, KEEPER, keeper.as_ref())?;
        drop(keeper);
        match heard(successor)? {
            Some((Message::Ready, _)) if matches!(*self.overseer, Overseer::Systemd) => {
                fd::send(successor, Message::Managed.text().as_bytes(), &[])?;
                bail!("systemd would start another one: systemctl restart");
            }
            Some((Message::Ready, _)) => {}
            None => return Ok(Outcome::Asked),
            _ => bail!("it did not become ready"),
        }
        let result = self.rest().and_then(|()| {
            let drained = Message::Drained.text();
            fd::send(successor, drained.as_bytes(), &[])?;
            match heard(successor)? {
                Some((Message::Serving, _)) => {
                    // Its word to our keeper is the one that counts: we may be killed at any moment.
                    let _ = heard(successor);
                    Ok(())
                }
                _ => bail!("it did not serve"),
            }
        });
        if result.is_err() {
            // It may have taken requests before it died.
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
