//! A daemon takes the place of one that serves: asks it for what it holds, has it come to rest, and
//! has it end.

use super::place;
use crate::{
    handover::{Held, KEEPER, Message, PREDECESSOR},
    sys::fd,
};
use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long one waits for a daemon that is about to serve, and how often it is asked for.
const PATIENCE: Duration = Duration::from_secs(10);
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
        let Some((Message::Hold(_), mut held)) = Held::hear(&socket)? else {
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
        Held::hear(&self.socket).context("the other daemon does not answer")
    }
}

/// Whether the other end, which hears nothing any more, has said that it stays.
fn stays(socket: &OwnedFd) -> bool {
    matches!(Held::hear(socket), Ok(Some((Message::Staying, _))))
}
