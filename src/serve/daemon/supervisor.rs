//! The supervisor of a daemon: the keeper, systemd, or none. A supervisor holds the descriptors of
//! the daemon, watches over it, and starts another one in its place.

use super::settings::ServeSettings;
use crate::{
    base::{respawn::Respawn, sys::fd, units::Pid},
    serve::{
        fuse::Server,
        handover::{Channel, Descriptors, Message, Name},
        keeper::Backoff,
        wire::{GATE, Side, Work, WorkerProgress, has_waiting_request, refuse_request},
    },
};
use anyhow::{Context, Result};
use parking_lot::Mutex;
use sd_notify::NotifyState;
use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::Child,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// The maximum pause before another keeper is started, after one that this daemon started ended by
/// itself or did not start. A keeper that was killed is followed at once: the time without a keeper is
/// that of the start of a process, which has the descriptors before it runs.
const MAX_KEEPER_PAUSE: Duration = Duration::from_secs(1);

/// The supervisor of a daemon.
#[derive(Debug)]
pub(super) enum Supervisor {
    /// No process.
    None,
    /// A keeper.
    Keeper(Mutex<KeeperLink>),
    /// The service manager.
    Systemd,
}

/// The way to the keeper.
#[derive(Debug)]
pub(super) struct KeeperLink {
    channel: Channel,
    /// The keeper's process, if this daemon started it. The first keeper started the daemon instead.
    process: Option<Child>,
    /// The start of this link.
    started: Instant,
    /// The pauses between keepers.
    backoff: Backoff,
}

impl Supervisor {
    /// Returns the keeper at the other end of the channel as a supervisor.
    pub(super) fn keeper(channel: Channel) -> Supervisor {
        Supervisor::Keeper(Mutex::new(KeeperLink {
            channel,
            process: None,
            started: Instant::now(),
            backoff: Backoff::default(),
        }))
    }

    /// Returns whether systemd started this process and expects its notifications.
    pub(super) fn is_systemd_present() -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    /// Takes over the descriptors that systemd stored for the daemon before this one. A descriptor
    /// whose name is [not valid](Name::parse) is closed.
    ///
    /// # Errors
    /// The errors of [`fd::listen_fds`].
    pub(super) fn stored_by_systemd() -> Result<Descriptors> {
        let stored = fd::listen_fds().context("cannot take the descriptors that systemd stored")?;
        let named = stored.into_iter();
        Ok(Descriptors::new(
            named.filter_map(|(name, fd)| Some((Name::parse(&name)?, fd))),
        ))
    }

    /// Returns whether systemd is the supervisor.
    pub(super) fn is_systemd(&self) -> bool {
        matches!(self, Supervisor::Systemd)
    }

    /// Gives the supervisor the descriptors to hold, in place of those before.
    ///
    /// # Errors
    /// When the supervisor does not take them.
    pub(super) fn hold(&self, descriptors: &Descriptors) -> Result<()> {
        match self {
            Supervisor::None => Ok(()),
            Supervisor::Keeper(keeper) => keeper
                .lock()
                .channel
                .send_descriptors(descriptors)
                .context("cannot give the keeper the descriptors"),
            Supervisor::Systemd => store(descriptors),
        }
    }

    /// Makes the supervisor close every descriptor but the lock, so that the kernel ends the
    /// connections of those before.
    pub(super) fn hold_only(&self, lock: Option<&OwnedFd>) {
        let mut descriptors = Descriptors::default();
        let added = lock.map_or(Ok(()), |lock| descriptors.add(Name::Lock, lock));
        match self {
            Supervisor::None => {}
            Supervisor::Systemd => {
                let devices = Side::BOTH.map(Name::Device);
                let names = [Name::Manifest, Name::State].into_iter().chain(devices);
                names.for_each(|name| remove_stored(&name));
            }
            Supervisor::Keeper(_) => {
                let held = added.map_err(Into::into);
                if let Err(error) = held.and_then(|()| self.hold(&descriptors)) {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the connections before do not end");
                }
            }
        }
    }

    /// Returns whether another daemon starts when this one ends with an error.
    pub(super) fn restarts(&self) -> bool {
        !matches!(self, Supervisor::None)
    }

    /// Notifies the supervisor that this daemon serves readers from now on. If the daemon then dies,
    /// the supervisor must start another one.
    ///
    /// # Errors
    /// When systemd cannot be notified. A keeper that cannot be notified is replaced later.
    pub(super) fn serving(&self) -> Result<()> {
        match self {
            Supervisor::Systemd => sd_notify::notify(&[NotifyState::Ready])
                .context("cannot notify systemd that the daemon is ready")?,
            _ => self.send(Message::Serving),
        }
        Ok(())
    }

    /// Notifies the supervisor that this daemon ends for good, and that the supervisor need not
    /// hold the descriptors any more.
    pub(super) fn leaving(&self, descriptors: &Descriptors) {
        match self {
            Supervisor::Systemd => descriptors.iter().for_each(|(name, _)| remove_stored(name)),
            _ => self.send(Message::Leaving),
        }
    }

    /// Returns a duplicate of the socket to the keeper. `None` without a keeper.
    ///
    /// # Errors
    /// EMFILE when this process may open no more descriptors.
    pub(super) fn keeper_socket(&self) -> Result<Option<OwnedFd>> {
        let Supervisor::Keeper(keeper) = self else {
            return Ok(None);
        };
        Ok(Some(keeper.lock().channel.as_fd().try_clone_to_owned()?))
    }

    // A keeper that is dead or does not read is no reason to end.
    fn send(&self, message: Message) {
        if let Supervisor::Keeper(keeper) = self {
            let _ = keeper.lock().channel.send(message);
        }
    }

    /// Returns the maximum time between two messages to the supervisor.
    fn watchdog(&self, settings: &ServeSettings) -> Option<Duration> {
        match self {
            Supervisor::Systemd => sd_notify::watchdog_enabled(),
            Supervisor::Keeper(_) => Some(settings.watchdog),
            Supervisor::None => None,
        }
    }

    /// Sends [`Message::Alive`] twice in each watchdog time, as long as requests are answered, and
    /// calls `between` each time. Aborts this process when a request is not answered: the requests
    /// that are stuck get EIO before, so that no successor gets them, and are told to the server.
    /// Starts another keeper when the keeper dies. Returns only without a supervisor or a watchdog.
    ///
    /// No call here reads the view itself: a thread that waits for an answer of its own process
    /// keeps that process from ending when it is killed (`request_wait_answer` in `fs/fuse/dev.c`).
    pub(super) fn attend(
        &self,
        settings: &ServeSettings,
        (descriptors, server): (&Descriptors, &Arc<Server>),
        between: impl Fn(),
    ) {
        let Some(watchdog) = self.watchdog(settings) else {
            return;
        };
        let interval = watchdog / 2;
        let (mut before, mut was_asked) = (WorkerProgress::default(), false);
        let mut next = Instant::now();
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if self.is_orphaned_within(left) {
                self.restart_keeper(settings, descriptors);
                continue;
            }
            if Instant::now() < next {
                continue;
            }
            next = Instant::now() + interval;
            let now = GATE.progress();
            let mut devices = descriptors
                .iter()
                .filter(|(name, _)| matches!(name, Name::Device(_)));
            // Requests wait for the successor while one takes over.
            let is_asked =
                !GATE.is_closed() && devices.any(|(_, device)| has_waiting_request(device));
            if now.is_stuck_since(&before) || (is_asked && was_asked && now == before) {
                let stuck = server.with_containers(GATE.stuck_since(&before));
                refuse_stuck(&stuck, descriptors, server);
                tracing::error!("a request is not answered: aborting for a successor");
                std::process::abort();
            }
            (before, was_asked) = (now, is_asked);
            between();
            match self {
                Supervisor::Systemd => {
                    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                }
                _ => self.send(Message::Alive),
            }
        }
    }

    /// Waits for `left`, and returns early with true when the keeper dies.
    fn is_orphaned_within(&self, left: Duration) -> bool {
        let Ok(Some(socket)) = self.keeper_socket() else {
            thread::sleep(left);
            return false;
        };
        fd::closed_within(&socket, left).is_ok()
    }

    /// Starts another keeper, and gives it the descriptors.
    fn restart_keeper(&self, settings: &ServeSettings, descriptors: &Descriptors) {
        let Supervisor::Keeper(keeper) = self else {
            return;
        };
        tracing::warn!("the keeper died: starting another one");
        let mut keeper = keeper.lock();
        if let Some(mut dead) = keeper.process.take() {
            let killed = dead
                .wait()
                .map(|status| status.signal() == Some(nix::libc::SIGKILL));
            let lived = keeper.started.elapsed();
            let pause = keeper.backoff.pause(killed.unwrap_or(false), lived);
            thread::sleep(pause.min(MAX_KEEPER_PAUSE));
        }
        match start_keeper(settings, descriptors) {
            Ok(started) => {
                let backoff = std::mem::take(&mut keeper.backoff);
                *keeper = KeeperLink { backoff, ..started };
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "there is no keeper");
                thread::sleep(MAX_KEEPER_PAUSE);
            }
        }
    }
}

/// Answers EIO to requests that are stuck in this daemon.
fn refuse_stuck(stuck: &[Work], descriptors: &Descriptors, server: &Server) {
    for work in stuck {
        let is_its = |name: &Name| *name == Name::Device(work.side);
        for (_, device) in descriptors.iter().filter(|(name, _)| is_its(name)) {
            refuse_request(device, work.unique);
        }
    }
    server.note_stuck(stuck);
}

/// Stores the descriptors with systemd, each under its name. The lock is not among them: the lock
/// ends with the daemon, and the next daemon acquires it.
fn store(descriptors: &Descriptors) -> Result<()> {
    for (name, fd) in descriptors.iter().filter(|(name, _)| **name != Name::Lock) {
        remove_stored(name);
        // Without FDPOLL=0 each request would wake systemd.
        let poll = NotifyState::Custom("FDPOLL=0");
        let message = [
            NotifyState::FdStore,
            NotifyState::FdName(name.as_str()),
            poll,
        ];
        sd_notify::notify_with_fds(&message, &[fd])
            .with_context(|| format!("cannot store the descriptor {name} with systemd"))?;
    }
    Ok(())
}

/// Removes the descriptors that systemd stores under a name or under its alias.
fn remove_stored(name: &Name) {
    for name in [Some(name.as_str()), name.alias()].into_iter().flatten() {
        let name = NotifyState::FdName(name);
        let _ = sd_notify::notify(&[NotifyState::FdStoreRemove, name]);
    }
}

/// Starts a keeper that adopts this daemon.
fn start_keeper(settings: &ServeSettings, descriptors: &Descriptors) -> Result<KeeperLink> {
    let (channel, keeper_end) = Channel::pair()?;
    let keeper = Respawn::Keeper {
        mountpoint: &settings.mountpoint,
        daemon: Pid(std::process::id()),
        watchdog: settings.watchdog,
        max_age: settings.max_age,
        configuration: &settings.config_file,
    };
    let mut command = keeper.command();
    command.stdin(OwnedFd::from(keeper_end));
    let send = || {
        let sent = channel
            .send_descriptors(descriptors)
            .and_then(|()| channel.send(Message::Serving));
        sent.context("cannot give a new keeper the descriptors")
    };
    // A set of one packet lies in the channel before the keeper starts: the keeper has the set even
    // if this daemon dies before the keeper reads. A larger set needs a keeper that reads.
    let is_small = descriptors.fit_into_one_packet();
    if is_small {
        send()?;
    }
    let mut process = command.spawn().context("cannot start a keeper")?;
    // The command holds the other end: a keeper that dies must close the channel.
    drop(command);
    if !is_small && let Err(error) = send() {
        // A keeper that watches a daemon without its descriptors would kill that daemon.
        let _ = process.kill();
        let _ = process.wait();
        return Err(error);
    }
    Ok(KeeperLink {
        channel,
        process: Some(process),
        started: Instant::now(),
        backoff: Backoff::default(),
    })
}
