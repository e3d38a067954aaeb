//! Who watches over a daemon, holds its descriptors and has another one take its place: a keeper,
//! systemd, or nobody.

use super::ServeSettings;
use crate::{
    base::{respawn::Respawn, sys::fd, units::Pid},
    serve::{
        handover::{Descriptors, Message},
        wire::{GATE, Side, WorkerProgress, has_waiting_request},
    },
};
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;
use sd_notify::NotifyState;
use std::{
    os::fd::{AsFd, OwnedFd},
    process::Child,
    thread,
    time::{Duration, Instant},
};

/// Who watches over a daemon.
#[derive(Debug)]
pub(super) enum Supervisor {
    /// Nobody.
    None,
    /// A keeper; the other end of its socket is here. And, if it is not the one that this daemon
    /// began with, its process.
    Keeper(Mutex<(OwnedFd, Option<Child>)>),
    /// The service manager.
    Systemd,
}

impl Supervisor {
    /// The keeper at the other end.
    pub(super) fn keeper(socket: OwnedFd) -> Supervisor {
        Supervisor::Keeper(Mutex::new((socket, None)))
    }

    /// Whether the service manager is there; it says so in the environment.
    pub(super) fn is_systemd() -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    /// What the service manager has held for the daemon before this one.
    pub(super) fn held_by_systemd() -> Result<Descriptors> {
        Ok(Descriptors::new(fd::listen_fds()?))
    }

    /// Gives the descriptors to be held, in place of those before.
    pub(super) fn hold(&self, held: &Descriptors) -> Result<()> {
        match self {
            Supervisor::None => {}
            Supervisor::Keeper(keeper) => held
                .send(&keeper.lock().0)
                .context("the keeper does not take the connection")?,
            Supervisor::Systemd => {
                for (name, fd) in held
                    .iter()
                    .filter(|(name, _)| *name != crate::serve::handover::LOCK)
                {
                    forget(name);
                    // Without FDPOLL=0 it would be woken by every request.
                    let poll = NotifyState::Custom("FDPOLL=0");
                    let message = [NotifyState::FdStore, NotifyState::FdName(name), poll];
                    sd_notify::notify_with_fds(&message, &[fd])
                        .context("systemd does not take the connection")?;
                }
            }
        }
        Ok(())
    }

    /// Says that readers are this daemon's from now on: should it die, another one must follow.
    pub(super) fn serving(&self) -> Result<()> {
        match self {
            Supervisor::Systemd => sd_notify::notify(&[NotifyState::Ready])
                .context("cannot tell systemd that it is ready")?,
            _ => self.say(&Message::Serving),
        }
        Ok(())
    }

    /// Says that this daemon ends for good.
    pub(super) fn leaving(&self, held: &Descriptors) {
        match self {
            Supervisor::Systemd => held.iter().for_each(|(name, _)| forget(name)),
            _ => self.say(&Message::Leaving),
        }
    }

    /// The socket at whose other end the keeper is, if there is one.
    pub(super) fn socket(&self) -> Result<Option<OwnedFd>> {
        let Supervisor::Keeper(keeper) = self else {
            return Ok(None);
        };
        Ok(Some(keeper.lock().0.try_clone()?))
    }

    // A keeper that is gone, or does not read, is no reason to end.
    fn say(&self, message: &Message) {
        if let Supervisor::Keeper(keeper) = self {
            let _ = Descriptors::say(&keeper.lock().0, message);
        }
    }

    /// How long this daemon may say nothing.
    fn watchdog(&self, config: &ServeSettings) -> Option<Duration> {
        match self {
            Supervisor::Systemd => sd_notify::watchdog_enabled(),
            Supervisor::Keeper(_) => Some(config.watchdog),
            Supervisor::None => None,
        }
    }

    /// Says again and again that all is well, as long as it is, and does `meanwhile` each time;
    /// starts another keeper when this one dies.
    ///
    /// Nothing here asks the view itself: a thread that waits for an answer of its own process
    /// keeps that from ending when it is killed (`request_wait_answer` in `fs/fuse/dev.c`).
    pub(super) fn attend(&self, config: &ServeSettings, held: &Descriptors, meanwhile: impl Fn()) {
        let Some(watchdog) = self.watchdog(config) else {
            return;
        };
        let pause = watchdog / 2;
        let (mut before, mut was_asked) = (WorkerProgress::default(), false);
        let mut next = Instant::now();
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if self.is_orphaned(left) {
                self.adopt(config, held);
                continue;
            }
            if Instant::now() < next {
                continue;
            }
            next = Instant::now() + pause;
            let now = GATE.progress();
            let mut devices = held
                .iter()
                .filter(|(name, _)| Side::from_name(name).is_some());
            // Where a successor takes over, requests wait for that one.
            let is_asked =
                !GATE.is_closed() && devices.any(|(_, device)| has_waiting_request(device));
            if now.is_stuck_since(&before) || (is_asked && was_asked && now == before) {
                tracing::error!("a request is not answered: giving up for a successor");
                std::process::abort();
            }
            (before, was_asked) = (now, is_asked);
            meanwhile();
            match self {
                Supervisor::Systemd => {
                    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                }
                _ => self.say(&Message::Alive),
            }
        }
    }

    /// Waits so long; whether the keeper has died meanwhile.
    fn is_orphaned(&self, left: Duration) -> bool {
        let Supervisor::Keeper(keeper) = self else {
            thread::sleep(left);
            return false;
        };
        let Ok(socket) = keeper.lock().0.try_clone() else {
            thread::sleep(left);
            return false;
        };
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        let left = left.saturating_add(Duration::from_millis(1));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
    }

    /// Starts another keeper, and tells it everything.
    fn adopt(&self, config: &ServeSettings, held: &Descriptors) {
        let Supervisor::Keeper(keeper) = self else {
            return;
        };
        tracing::warn!("the keeper died: starting another one");
        let mut keeper = keeper.lock();
        if let Some(mut dead) = keeper.1.take() {
            let _ = dead.wait();
            // It should not die again and again; if it does, slowly.
            thread::sleep(Duration::from_secs(1));
        }
        match started(config, held) {
            Ok((socket, child)) => *keeper = (socket, Some(child)),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "there is no keeper");
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

fn forget(name: &str) {
    let _ = sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

fn started(config: &ServeSettings, held: &Descriptors) -> Result<(OwnedFd, Child)> {
    let (ours, theirs) = fd::pair()?;
    // It finds this even if we are dead by the time it listens.
    held.send(&ours)?;
    Descriptors::say(&ours, &Message::Serving)?;
    let keeper = Respawn::Keeper {
        mountpoint: &config.mountpoint,
        daemon: Pid(std::process::id()),
        watchdog: config.watchdog,
        max_age: config.max_age,
        configuration: &config.configuration,
    };
    let child = keeper.command().stdin(theirs).spawn()?;
    Ok((ours, child))
}
