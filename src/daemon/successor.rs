//! A daemon takes the place of one that serves: it is handed the descriptors, says that it is
//! ready, and goes on as soon as the other one has answered all that it took.
//!
//! Whatever goes wrong with the successor before it serves, the other one goes on. Each of the two,
//! and each one's keeper, may be killed at any moment: whoever goes on says so, and whoever says
//! nothing does not.

use super::{Event, overseer::Overseer, place, station::Station};
use crate::{
    fuse::{GATE, Side, give_out_again},
    handover::{Held, KEEPER, Message, PREDECESSOR},
    sys::fd,
};
use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr, accept4, bind, connect,
        getsockopt, listen, shutdown, socket, sockopt::PeerCredentials,
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
        let path = place::file(mountpoint, "socket")?;
        let end = Instant::now() + PATIENCE;
        loop {
            let asked = Predecessor::ask_at(&path);
            let may_be_followed = matches!(
                asked,
                Ok(None) | Err(Errno::ECONNREFUSED | Errno::ENOENT | Errno::ECONNRESET)
            );
            // Whoever has the next one serve holds the place for it.
            if may_be_followed && Instant::now() < end && place::is_held(mountpoint)? {
                thread::sleep(AGAIN);
                continue;
            }
            return match asked {
                Ok(Some(asked)) => Ok(asked),
                Ok(None) => bail!("the daemon that serves there does not let itself be replaced"),
                Err(Errno::ETIMEDOUT) => bail!("the daemon that serves there does not answer"),
                Err(error) => Err(error).context("no daemon serves there that could be replaced"),
            };
        }
    }

    fn ask_at(path: &Path) -> nix::Result<Option<(Predecessor, Held)>> {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        let Some((Message::Hold(_), mut held)) = heard(&socket)? else {
            return Ok(None);
        };
        let keeper = held.take(KEEPER);
        Ok(Some((Predecessor { socket, keeper }, held)))
    }

    /// The one that was to be replaced by a daemon which died before it had told it to end.
    pub(super) fn left_in(held: &mut Held) -> Option<Predecessor> {
        Some(Predecessor {
            socket: held.take(PREDECESSOR)?,
            keeper: held.take(KEEPER),
        })
    }

    /// Adds what the next daemon needs to tell it to end, should this one die first.
    pub(super) fn enter(&self, held: &mut Held) -> Result<()> {
        held.add(PREDECESSOR, &self.socket)?;
        if let Some(keeper) = &self.keeper {
            held.add(KEEPER, keeper)?;
        }
        Ok(())
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

    /// Tells it to end, and its keeper that nobody is to take its place. Both may be dead; from
    /// now on nobody serves there but this process.
    ///
    /// That must be said twice, as either may be killed at any moment, and either says so if it
    /// does not end: no answer means that nobody is there to give one.
    ///
    /// # Errors
    /// When the daemon, or another one in its place, serves on.
    pub(super) fn dismiss(&self) -> Result<()> {
        if self.say(&Message::Serving).is_err() && stays(&self.socket) {
            bail!("the daemon that was to be replaced has waited for too long, and serves on");
        }
        if let Some(keeper) = &self.keeper {
            let told = fd::send(keeper, Message::Leaving.text().as_bytes(), &[]);
            if told == Err(Errno::EPIPE) && stays(keeper) {
                bail!("the daemon that was to be replaced has died, and another one serves");
            }
        }
        Ok(())
    }

    fn say(&self, message: &Message) -> Result<()> {
        let text = message.text();
        fd::send(&self.socket, text.as_bytes(), &[]).context("the other daemon is gone")
    }

    fn heard(&self) -> Result<Option<(Message, Held)>> {
        heard(&self.socket).context("the other daemon does not answer")
    }
}

/// Whether the other end, which hears nothing any more, has said that it stays.
fn stays(socket: &OwnedFd) -> bool {
    matches!(heard(socket), Ok(Some((Message::Staying, _))))
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

/// Whether a successor has said that it serves. If not, it is told that nobody listens as soon as
/// it says so.
fn serves(successor: &OwnedFd) -> bool {
    let says_so = |heard| matches!(heard, Ok(Some((Message::Serving, _))));
    says_so(heard(successor))
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
            if serves(successor) {
                // Its word to our keeper is the one that counts: we may be killed at any moment.
                let _ = heard(successor);
                return Ok(());
            }
            let _ = fd::send(successor, Message::Staying.text().as_bytes(), &[]);
            bail!("it did not serve");
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
