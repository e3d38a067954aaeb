//! A daemon takes the place of one that serves: asks it for what it holds, has it come to rest, and
//! has it end.

use super::lock;
use crate::{
    base::sys::fd,
    serve::handover::{Descriptors, HANDOVER_TIMEOUT, KEEPER, Message, PREDECESSOR},
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

/// How often it is asked again for a daemon that is about to serve.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The daemon that serves on a mount point, while it is being replaced.
#[derive(Debug)]
pub(super) struct Predecessor {
    socket: OwnedFd,
    /// Where it speaks to its keeper, if it has one and lets a successor speak there.
    keeper: Option<OwnedFd>,
}

impl Predecessor {
    /// The daemon that serves there, which has answered what it took and takes nothing more; with
    /// all that it holds. If it dies first, the one that takes its place.
    pub(super) fn drained(mountpoint: &Path) -> Result<(Predecessor, Descriptors)> {
        let end = Instant::now() + HANDOVER_TIMEOUT;
        loop {
            let (predecessor, held) = Predecessor::ask_until(end, mountpoint)?;
            held.roster()?;
            if predecessor.drain()? {
                return Ok((predecessor, held));
            }
            if Instant::now() >= end {
                bail!("no daemon serves there for long enough to be replaced");
            }
        }
    }

    /// Asks the daemon that serves there for all that it holds. One that has died is waited for
    /// until another one has taken its place.
    pub(super) fn ask(mountpoint: &Path) -> Result<(Predecessor, Descriptors)> {
        Predecessor::ask_until(Instant::now() + HANDOVER_TIMEOUT, mountpoint)
    }

    fn ask_until(end: Instant, mountpoint: &Path) -> Result<(Predecessor, Descriptors)> {
        let path = lock::file(mountpoint, "socket")?;
        loop {
            let asked = Predecessor::ask_at(&path);
            let may_be_followed = matches!(
                asked,
                Ok(None) | Err(Errno::ECONNREFUSED | Errno::ENOENT | Errno::ECONNRESET)
            );
            // Whoever has the next one serve holds the place for it.
            if may_be_followed && Instant::now() < end && lock::is_held(mountpoint)? {
                thread::sleep(RETRY_INTERVAL);
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

    fn ask_at(path: &Path) -> nix::Result<Option<(Predecessor, Descriptors)>> {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        let Some((Message::Hold(_), mut held)) = Descriptors::hear(&socket)? else {
            return Ok(None);
        };
        let keeper = held.take(KEEPER);
        Ok(Some((Predecessor { socket, keeper }, held)))
    }

    /// The one that is to be replaced, of what was entered.
    pub(super) fn left_in(held: &mut Descriptors) -> Option<Predecessor> {
        Some(Predecessor {
            socket: held.take(PREDECESSOR)?,
            keeper: held.take(KEEPER),
        })
    }

    /// Adds what is needed to tell it to end.
    pub(super) fn enter(&self, held: &mut Descriptors) -> Result<()> {
        held.add(PREDECESSOR, &self.socket)?;
        if let Some(keeper) = &self.keeper {
            held.add(KEEPER, keeper)?;
        }
        Ok(())
    }

    /// Has it answer what it took, and take nothing more; whether it lives to say so.
    fn drain(&self) -> Result<bool> {
        let told = Descriptors::say(&self.socket, &Message::Ready);
        match told.and_then(|()| Descriptors::hear(&self.socket)) {
            Ok(Some((Message::Drained, _))) => Ok(true),
            Ok(None) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(false),
            Ok(Some((Message::UnderSystemd, _))) => {
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
        if Descriptors::say(&self.socket, &Message::Serving).is_err() && stays(&self.socket) {
            bail!("the daemon that was to be replaced has waited for too long, and serves on");
        }
        if let Some(keeper) = &self.keeper
            && Descriptors::say(keeper, &Message::Leaving).is_err()
            && stays(keeper)
        {
            bail!("the daemon that was to be replaced has died, and another one serves");
        }
        Ok(())
    }
}

/// Whether the other end, which hears nothing any more, has said that it stays. It is so for the
/// next one that asks as well.
fn stays(socket: &OwnedFd) -> bool {
    let said = fd::readable_within(socket, HANDOVER_TIMEOUT).and_then(|()| fd::peek(socket));
    said.is_ok_and(|said| Message::parse(&said) == Some(Message::ServesOn))
}
