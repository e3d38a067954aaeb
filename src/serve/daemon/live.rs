//! The life of a daemon: takes over or begins, serves, and ends on a signal or for a successor.

use super::{
    containers,
    instance::Instance,
    lock,
    mountpoint::MountWatch,
    pending_attach::PendingAttach,
    settings::{Event, Mode, ServeSettings},
    successor::{Handover, ReplaceListener},
    supervisor::Supervisor,
    takeover,
};
use crate::{
    base::{metrics, output},
    serve::{fuse::Server, handover::Descriptors},
    view::answer,
};
use anyhow::{Context, Result, bail};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread,
};

const END_SIGNALS: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGUSR1];

/// Runs a daemon from its start to its end. `descriptors` are those that the supervisor held for
/// this daemon; none for a first one.
pub(super) fn live(
    settings: &ServeSettings,
    descriptors: Descriptors,
    supervisor: Supervisor,
) -> Result<()> {
    let acting = || format!("cannot serve {}", settings.mountpoint.display());
    let signals = catch_signals()?;
    let is_first = descriptors.is_empty();
    let (events, inbox) = channel();
    let mut instance =
        takeover::start(settings, descriptors, &supervisor, &events).with_context(acting)?;
    let supervisor = Arc::new(supervisor);
    let descriptors = Arc::new(instance.descriptors()?);
    start_threads(&instance);
    let socket = match settings.mode {
        Mode::Embedded => None,
        _ => Some(listen_for_successors(&instance, &supervisor, &events)?),
    };
    let resumed = instance.is_resumed;
    log_start(settings, resumed);
    supervisor.serving()?;
    if settings.mode == Mode::Embedded && is_first {
        write_ready()?;
    }
    instance.own();
    if settings.mode != Mode::Embedded {
        lock::write_pid(&settings.mountpoint);
    }
    instance.allow_background();
    forward_signals(signals, events.clone(), &supervisor);
    if settings.mode != Mode::Embedded && !resumed {
        containers::replace_dead_views(&instance.mountpoint, instance.points());
    }
    let mounts = match settings.mode {
        Mode::Embedded => None,
        _ => Some(MountWatch::new(instance.points())?),
    };
    let held = (Arc::clone(&descriptors), instance.server());
    let answers = instance.answers();
    attend(settings, &supervisor, held, move || {
        answers.close_idle_files();
        if mounts.as_ref().is_some_and(MountWatch::is_view_gone) {
            let _ = events.send(Event::Disconnected);
        }
    });
    let event = inbox.recv().unwrap_or(Event::Stop);
    let running = ServingDaemon {
        instance,
        supervisor,
        descriptors,
        socket,
    };
    running.end(event)
}

/// Starts the threads that work beside those of the sessions.
fn start_threads(instance: &Instance) {
    let (answers, server) = (instance.answers(), instance.server());
    thread::spawn(move || answer::sample_loads(&answers));
    thread::spawn(move || server.run_late());
}

/// Catches the signals that end a daemon. To be called before there are threads, so that a signal
/// cannot end the process before it is caught.
fn catch_signals() -> Result<Signals> {
    let signals = Signals::new(END_SIGNALS).context("cannot catch signals")?;
    // A parent that blocks signals for itself, as the keeper does, passes that on.
    nix::sys::signal::SigSet::all()
        .thread_unblock()
        .context("cannot unblock signals")?;
    Ok(signals)
}

/// Turns signals into events. SIGHUP reloads under systemd, whose next daemon reads the configuration
/// anew; it ends a daemon that a terminal started, when the terminal closes.
fn forward_signals(mut signals: Signals, events: Sender<Event>, supervisor: &Supervisor) {
    let reloads = matches!(supervisor, Supervisor::Systemd);
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGUSR1 => Event::Restart,
                SIGHUP if reloads => Event::Restart,
                _ => Event::Stop,
            };
            let _ = events.send(event);
        }
    });
}

/// Notifies the process that started an embedded daemon that the daemon serves.
fn write_ready() -> Result<()> {
    Ok(output::print("ready\n")?)
}

/// Sends the supervisor messages from a thread. Attaches pending containers and calls `watch`
/// between messages.
fn attend(
    settings: &ServeSettings,
    supervisor: &Arc<Supervisor>,
    (descriptors, server): (Arc<Descriptors>, Arc<Server>),
    watch: impl Fn() + Send + 'static,
) {
    let supervisor = Arc::clone(supervisor);
    let settings = settings.clone();
    thread::spawn(move || {
        let pending = (settings.mode != Mode::Embedded).then(|| PendingAttach::new(&settings));
        let poll = || {
            pending.iter().for_each(PendingAttach::poll);
            watch();
        };
        // One poll, because `attend` returns at once without a supervisor.
        poll();
        supervisor.attend(&settings, (&descriptors, &server), poll);
    });
}

fn log_start(settings: &ServeSettings, resumed: bool) {
    tracing::info!(mountpoint = %settings.mountpoint.display(), resumed, "serving");
    if !resumed && settings.mode != Mode::Embedded {
        let (running, new) = ("plimsoll attach --all", "plimsoll install --all");
        tracing::info!(running, new, "containers get the view by these commands");
    }
}

/// Returns the counters that are not zero, in one text.
fn counts() -> String {
    let counters = metrics::COUNTERS.iter();
    let counted = counters.filter(|counter| counter.value() > 0);
    let counted: Vec<String> = counted
        .map(|counter| format!("{} {}", counter.name, counter.value()))
        .collect();
    counted.join(", ")
}

/// Lets successors connect, and returns the path of the socket. A resumed daemon serves even without
/// the socket, since readers wait.
fn listen_for_successors(
    instance: &Instance,
    supervisor: &Arc<Supervisor>,
    events: &Sender<Event>,
) -> Result<PathBuf> {
    let path = lock::run_path(&instance.mountpoint, "socket");
    let listening = lock::make_directory()
        .map_err(Into::into)
        .and_then(|()| ReplaceListener::bind(&path))
        .and_then(|listener| Ok((listener, Handover::new(instance, supervisor)?)));
    let events = events.clone();
    match listening {
        Ok((listener, handover)) => {
            thread::spawn(move || listener.run(&handover, &events));
        }
        Err(error) if instance.is_resumed => {
            let error = format!("{error:#}");
            tracing::error!(error, "this daemon cannot be replaced, only restarted");
        }
        Err(error) => return Err(error),
    }
    Ok(path)
}

/// A daemon that has served.
struct ServingDaemon {
    instance: Instance,
    supervisor: Arc<Supervisor>,
    descriptors: Arc<Descriptors>,
    /// The path of the socket for successors; `None` for an embedded daemon.
    socket: Option<PathBuf>,
}

impl ServingDaemon {
    fn end(self, event: Event) -> Result<()> {
        tracing::info!(counters = counts(), "ending");
        match event {
            Event::Restart => {
                tracing::info!("making room for a successor");
                if let Err(error) = Handover::new(&self.instance, &self.supervisor)?.drain() {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "leaving open requests to the successor");
                }
                self.instance.leave();
                return Ok(());
            }
            Event::Replaced => {
                tracing::info!("a successor serves");
                self.instance.leave();
                self.supervisor.leaving(&Descriptors::default());
                return Ok(());
            }
            Event::Disconnected if self.instance.is_mounted()? => {
                self.instance.leave();
                bail!("the kernel has ended a connection");
            }
            // The container of an embedded daemon has no mounts when it has ended.
            Event::Disconnected if self.socket.is_some() && self.supervisor.restarts() => {
                self.instance.leave();
                bail!("the view was unmounted");
            }
            Event::Disconnected => tracing::info!("the mount point was unmounted"),
            Event::Stop => {}
        }
        if let Some(socket) = self.socket {
            let _ = fs::remove_file(socket);
            // An embedded daemon has no socket; its container has ended already.
            containers::remove_view(&self.instance.points())?;
        }
        self.instance.unmount();
        self.supervisor.leaving(&self.descriptors);
        Ok(())
    }
}
