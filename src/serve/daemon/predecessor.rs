//! The predecessor, as its successor sees it: asked for its descriptors, drained, dismissed.
//!
//! The sequence of messages is drawn in [`handover`](crate::serve::handover).

use super::lock;
use crate::{
    base::state::Term,
    serve::handover::{Channel, Descriptors, HANDOVER_TIMEOUT, Message, Name, Received},
};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The interval at which a successor connects again while the keeper starts the next daemon.
const CONNECT_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// A daemon that serves on a mount point, and is being replaced.
#[derive(Debug)]
pub(super) struct Predecessor {
    channel: Channel,
    /// The predecessor's end of the channel to its keeper; `None` for a predecessor without one.
    keeper: Option<Channel>,
}

/// A daemon that is being replaced, with its descriptors.
#[derive(Debug)]
pub(super) struct HandedOver {
    pub(super) predecessor: Predecessor,
    pub(super) descriptors: Descriptors,
    /// The term of a predecessor that died before it was drained, as did its keeper. `None` for a
    /// predecessor that is drained.
    pub(super) dead: Option<Term>,
}

impl Predecessor {
    /// Connects to the daemon that serves on the mount point and drains it: the daemon has answered
    /// every request that it took, and takes no more. A daemon that dies first is followed by the next
    /// one of its keeper, which is drained instead. When the keeper is dead too, the descriptors are
    /// those that the dead daemon handed over.
    ///
    /// # Errors
    /// When no daemon was drained within [`HANDOVER_TIMEOUT`], or the manifest is not understood: the
    /// daemon is not disturbed in that case.
    pub(super) fn drained(mountpoint: &Path) -> Result<HandedOver> {
        let end = Instant::now() + HANDOVER_TIMEOUT;
        let mut next = Predecessor::connect_until(end, mountpoint)?;
        loop {
            if Instant::now() >= end {
                bail!("no daemon serves there for long enough to be replaced");
            }
            let (mut predecessor, descriptors) = next;
            let term = descriptors.manifest()?.term();
            if predecessor.drain()? {
                return Ok(HandedOver {
                    predecessor,
                    descriptors,
                    dead: None,
                });
            }
            next = match term {
                Some(_) => match predecessor.next_daemon(end, mountpoint)? {
                    Some(next) => next,
                    None => {
                        return Ok(HandedOver {
                            predecessor,
                            descriptors,
                            dead: term,
                        });
                    }
                },
                None => {
                    // Without terms only the lock, which is one of the descriptors, tells whether
                    // another daemon follows.
                    drop(descriptors);
                    Predecessor::connect_until(end, mountpoint)?
                }
            };
        }
    }

    /// Waits for the next daemon after this one, which has died, and connects to it. `None` when no
    /// keeper is left to start one.
    fn next_daemon(
        &self,
        end: Instant,
        mountpoint: &Path,
    ) -> Result<Option<(Predecessor, Descriptors)>> {
        let path = lock::run_path(mountpoint, "socket");
        loop {
            if let Ok(Some(next)) = Predecessor::connect_at(&path) {
                return Ok(Some(next));
            }
            if !self.keeper.as_ref().is_some_and(Channel::is_connected) {
                return Ok(None);
            }
            if Instant::now() >= end {
                bail!("the daemon that serves there has died, and its keeper starts no other one");
            }
            thread::sleep(CONNECT_RETRY_INTERVAL);
        }
    }

    /// Connects to the daemon that serves on the mount point, and returns it with its descriptors.
    /// Waits at most [`HANDOVER_TIMEOUT`] for the next daemon of a keeper whose daemon has died.
    pub(super) fn connect(mountpoint: &Path) -> Result<(Predecessor, Descriptors)> {
        Predecessor::connect_until(Instant::now() + HANDOVER_TIMEOUT, mountpoint)
    }

    fn connect_until(end: Instant, mountpoint: &Path) -> Result<(Predecessor, Descriptors)> {
        let path = lock::run_path(mountpoint, "socket");
        loop {
            let connected = Predecessor::connect_at(&path);
            let is_dead = matches!(
                connected,
                Ok(None) | Err(Errno::ECONNREFUSED | Errno::ENOENT | Errno::ECONNRESET)
            );
            // A keeper that starts the next daemon holds the lock for that one.
            if is_dead && Instant::now() < end && lock::is_held(mountpoint) {
                thread::sleep(CONNECT_RETRY_INTERVAL);
                continue;
            }
            return match connected {
                Ok(Some(connected)) => Ok(connected),
                Ok(None) => bail!("the daemon that serves there cannot be replaced"),
                Err(Errno::ETIMEDOUT) => bail!("the daemon that serves there does not answer"),
                Err(error) => Err(error).context("no daemon serves there that could be replaced"),
            };
        }
    }

    fn connect_at(path: &Path) -> nix::Result<Option<(Predecessor, Descriptors)>> {
        let mut channel = Channel::connect(path)?;
        let Some(Received::Descriptors(mut descriptors)) = channel.recv()? else {
            return Ok(None);
        };
        let keeper = descriptors.take(&Name::Keeper).map(Channel::from);
        Ok(Some((Predecessor { channel, keeper }, descriptors)))
    }

    /// Takes the predecessor out of descriptors to which [`Predecessor::add_to`] added it.
    pub(super) fn take_from(descriptors: &mut Descriptors) -> Option<Predecessor> {
        Some(Predecessor {
            channel: descriptors.take(&Name::Predecessor)?.into(),
            keeper: descriptors.take(&Name::Keeper).map(Channel::from),
        })
    }

    /// Adds the channels that [`Predecessor::dismiss`] needs.
    pub(super) fn add_to(&self, descriptors: &mut Descriptors) -> Result<()> {
        descriptors.add(Name::Predecessor, &self.channel)?;
        if let Some(keeper) = &self.keeper {
            descriptors.add(Name::Keeper, keeper)?;
        }
        Ok(())
    }

    /// Makes the predecessor answer every request that it took, and take no more. Returns false when
    /// the predecessor dies before its reply.
    fn drain(&mut self) -> Result<bool> {
        let sent = self.channel.send(Message::Ready);
        match sent.and_then(|()| self.channel.recv()) {
            Ok(Some(Received::Message(Message::Drained))) => Ok(true),
            Ok(None) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(false),
            Ok(Some(Received::Message(Message::UnderSystemd))) => {
                bail!("systemd watches over the daemon that serves there: systemctl restart it")
            }
            _ => bail!("the daemon that serves there cannot be drained"),
        }
    }

    /// Tells the predecessor and its keeper to end, since this process has claimed the right to serve.
    /// Both may be dead. A message that is lost is no loss: the word in the state tells them.
    pub(super) fn inform(&self) {
        let _ = self.channel.send(Message::Serving);
        if let Some(keeper) = &self.keeper {
            let _ = keeper.send(Message::Leaving);
        }
    }

    /// Orders a predecessor of a version without terms to end, and its keeper to start no other daemon.
    /// Both may be dead. From the return on, this process is the only one that serves on the mount
    /// point.
    ///
    /// The predecessor and its keeper each get a message, since each may be killed at any moment. A
    /// process that does not end sends [`Message::ServesOn`]; no answer means that the process is
    /// dead.
    ///
    /// # Errors
    /// When the predecessor, or the next daemon of its keeper, serves on.
    pub(super) fn dismiss(&self) -> Result<()> {
        if self.channel.send(Message::Serving).is_err() && serves_on(&self.channel) {
            bail!("the daemon that was to be replaced has waited for too long, and serves on");
        }
        if let Some(keeper) = &self.keeper
            && keeper.send(Message::Leaving).is_err()
            && serves_on(keeper)
        {
            bail!("the daemon that was to be replaced has died, and another one serves");
        }
        Ok(())
    }
}

/// Returns whether the other end, which reads no more, has sent [`Message::ServesOn`]. The message
/// stays in the channel for the next successor that asks.
fn serves_on(channel: &Channel) -> bool {
    channel.peek() == Ok(Some(Message::ServesOn))
}
