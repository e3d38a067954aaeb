//! The host daemon: starts an instance, tells the supervisor that it serves, and ends on a signal or
//! for a successor.

mod instance;
mod lock;
mod mountpoint;
mod pending_attach;
mod post_stop;
mod predecessor;
mod successor;
mod supervisor;
mod takeover;

use crate::{
    base::{
        metrics,
        sys::fd,
        units::{Micros, Pid},
    },
    inject::repair::{self, RepairedContainer},
    serve::{
        handover::Descriptors,
        keeper::{self, Adopted, Purpose, Start},
    },
    view::answer,
};
use anyhow::{Context, Result, bail};
use instance::Instance;
pub use lock::lock_path;
use nix::{
    sys::{prctl, signal::Signal},
    unistd,
};
use pending_attach::PendingAttach;
pub use post_stop::clean_up;
use predecessor::Predecessor;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};
use std::{
    fs,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};
use successor::{Handover, ReplaceListener};
use supervisor::Supervisor;

const END_SIGNALS: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGUSR1];
/// The exit status of a daemon that could not serve.
const FAILED: i32 = 125;
/// The minimum time between the start of a daemon that fails under systemd and its end. systemd
/// starts the next daemon at once, which may fail in the same way.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

/// The settings of a daemon.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// The act of the daemon.
    pub mode: Mode,
    /// The directory on which the daemon serves.
    pub mountpoint: PathBuf,
    /// The time after which a daemon that hangs is killed. Under systemd the unit sets that time.
    pub watchdog: Duration,
    /// The maximum age of an answer when a reader gets it.
    pub max_age: Micros,
    /// The configuration file, for processes that the daemon starts.
    pub config_file: PathBuf,
}

/// The act of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Serve the containers of the host.
    Serve {
        /// True for a daemon with a keeper. Under systemd no daemon has one.
        has_keeper: bool,
    },
    /// Serve in place of the daemon that serves on the mount point.
    Replace {
        /// True for a daemon with a keeper.
        has_keeper: bool,
    },
    /// Find out whether [`Mode::Replace`] would succeed, without disturbing the daemon that serves.
    CheckReplace,
    /// Serve one container of `plimsoll run`, in a mount namespace where no other daemon serves.
    /// Write `ready` to standard output when the daemon serves, and end with the parent process.
    Embedded,
    /// Be the keeper of the daemon with this pid, whose own keeper died. Standard input is the
    /// channel to that daemon.
    Adopt(Pid),
}

/// A reason for a daemon to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A signal told the daemon to end for good.
    Stop,
    /// A signal told the daemon to end, and leave everything to a successor.
    Restart,
    /// A successor serves.
    Replaced,
    /// The kernel has ended a connection.
    Disconnected,
}

/// Serves until the daemon is told to end or is replaced, and returns the exit status. Takes over
/// what a dead daemon left mounted. `complain` shows the user the error of a daemon that a keeper
/// started.
///
/// # Errors
/// When another daemon serves there, another file system is mounted there, or the kernel refuses.
pub fn serve(mut settings: ServeSettings, complain: impl Fn(&anyhow::Error)) -> Result<i32> {
    if settings.mode == Mode::Embedded && !ends_with_its_parent()? {
        return Ok(0);
    }
    settings.mountpoint = mountpoint::resolve(&settings.mountpoint)?;
    if settings.mode == Mode::CheckReplace {
        let acting = || {
            format!(
                "cannot replace the daemon on {}",
                settings.mountpoint.display()
            )
        };
        return check_replace(&settings).with_context(acting).map(|()| 0);
    }
    if Supervisor::is_systemd_present() {
        return serve_under_systemd(&settings).map(|()| 0);
    }
    let adopted = match settings.mode {
        Mode::Serve { has_keeper: false } | Mode::Replace { has_keeper: false } => {
            return live(&settings, Descriptors::default(), Supervisor::None).map(|()| 0);
        }
        Mode::Adopt(pid) => Some(adopted(pid)?),
        _ => None,
    };
    let status = keeper::keep(settings.watchdog, adopted, |start| match live_under_keeper(
        &settings, start,
    ) {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            FAILED
        }
    });
    status.context("cannot keep a daemon alive")
}

/// Returns an error if this program could not take the place of the daemon that serves.
fn check_replace(settings: &ServeSettings) -> Result<()> {
    let (_predecessor, mut descriptors) = Predecessor::connect(&settings.mountpoint)?;
    let mut instance = Instance::resume(settings, &mut descriptors)?;
    let agreed = instance.sessions().map(drop);
    instance.leave();
    agreed
}

fn serve_under_systemd(settings: &ServeSettings) -> Result<()> {
    if let Mode::Replace { .. } = settings.mode {
        bail!("--replace is for daemons with a keeper: under systemd, systemctl restart");
    }
    let descriptors = Supervisor::stored_by_systemd()?;
    let end = Instant::now() + MIN_LIFETIME;
    let result = live(settings, descriptors, Supervisor::Systemd);
    if result.is_err() {
        thread::sleep(end.saturating_duration_since(Instant::now()));
    }
    result
}

/// Runs a daemon that its keeper has forked.
fn live_under_keeper(settings: &ServeSettings, mut start: Start) -> Result<()> {
    if settings.mode == Mode::Embedded && !ends_with_its_parent()? {
        return Ok(());
    }
    let supervisor = Supervisor::keeper(start.keeper);
    if start.purpose == Purpose::Serve {
        return live(settings, start.descriptors, supervisor);
    }
    if let Ok(mut instance) = Instance::resume(settings, &mut start.descriptors) {
        // Containers first: their readers would wait for an answer for ever.
        log_repaired("view removed", &repair::remove(&instance.points())?);
        instance.own()?;
        instance.unmount();
    }
    Ok(())
}

/// Returns the daemon with that pid, and the channel to it that is standard input.
fn adopted(pid: Pid) -> Result<Adopted> {
    let stdin = std::io::stdin();
    let channel: OwnedFd = stdin.as_fd().try_clone_to_owned()?;
    let null = fs::File::open("/dev/null")?;
    fd::dup_onto(stdin.as_fd(), null.as_fd())?;
    Ok(Adopted {
        pid: unistd::Pid::from_raw(i32::try_from(pid.0)?),
        channel: channel.into(),
    })
}

/// Requests SIGTERM for the moment when the parent process ends. Returns false if the parent ended
/// before.
fn ends_with_its_parent() -> Result<bool> {
    let parent = unistd::getppid();
    prctl::set_pdeathsig(Signal::SIGTERM)
        .context("cannot request a signal at the end of the parent process")?;
    // The parent may have ended before the request.
    Ok(unistd::getppid() == parent && parent != unistd::Pid::from_raw(1))
}

/// Runs a daemon from its start to its end. `descriptors` are those that the supervisor held for
/// this daemon; none for a first one.
fn live(settings: &ServeSettings, descriptors: Descriptors, supervisor: Supervisor) -> Result<()> {
    let acting = || format!("cannot serve {}", settings.mountpoint.display());
    let signals = catch_signals()?;
    let is_first = descriptors.is_empty();
    let (events, inbox) = channel();
    let mut instance =
        takeover::start(settings, descriptors, &supervisor, &events).with_context(acting)?;
    let supervisor = Arc::new(supervisor);
    let descriptors = Arc::new(instance.descriptors()?);
    let answers = instance.answers();
    thread::spawn(move || answer::sample_loads(&answers));
    let socket = match settings.mode {
        Mode::Embedded => None,
        _ => Some(listen_for_successors(&instance, &supervisor, &events)?),
    };
    let resumed = instance.is_resumed;
    tracing::info!(mountpoint = %settings.mountpoint.display(), resumed, "serving");
    supervisor.serving()?;
    if settings.mode == Mode::Embedded && is_first {
        write_ready()?;
    }
    instance.own()?;
    forward_signals(signals, events);
    if settings.mode != Mode::Embedded && !resumed {
        repair_containers(&instance);
    }
    attend(settings, &supervisor, &descriptors);
    let event = inbox.recv().unwrap_or(Event::Stop);
    let running = Running {
        instance,
        supervisor,
        descriptors,
        socket,
    };
    running.end(event)
}

/// Catches the signals that end a daemon. To be called before there are threads, so that no signal
/// ends the process meanwhile.
fn catch_signals() -> Result<Signals> {
    let signals = Signals::new(END_SIGNALS).context("cannot catch signals")?;
    // A parent that blocks signals for itself, as the keeper does, passes that on.
    nix::sys::signal::SigSet::all()
        .thread_unblock()
        .context("cannot unblock signals")?;
    Ok(signals)
}

fn forward_signals(mut signals: Signals, events: Sender<Event>) {
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGUSR1 => Event::Restart,
                _ => Event::Stop,
            };
            let _ = events.send(event);
        }
    });
}

/// Tells the process that started an embedded daemon that the daemon serves.
fn write_ready() -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready").context("cannot write to standard output")?;
    out.flush().context("cannot write to standard output")
}

/// Sends the supervisor messages from a thread, and attaches pending containers meanwhile.
fn attend(settings: &ServeSettings, supervisor: &Arc<Supervisor>, descriptors: &Arc<Descriptors>) {
    let (supervisor, descriptors) = (Arc::clone(supervisor), Arc::clone(descriptors));
    let settings = settings.clone();
    thread::spawn(move || {
        let pending = (settings.mode != Mode::Embedded).then(|| PendingAttach::new(&settings));
        let poll = || pending.iter().for_each(PendingAttach::poll);
        // Once without a supervisor, too.
        poll();
        supervisor.attend(&settings, &descriptors, poll);
    });
}

/// Lets successors connect, and returns the path of the socket. A resumed daemon serves even without
/// the socket, since readers wait.
fn listen_for_successors(
    instance: &Instance,
    supervisor: &Arc<Supervisor>,
    events: &Sender<Event>,
) -> Result<PathBuf> {
    let path = lock::run_file(&instance.mountpoint, "socket")?;
    let listening = ReplaceListener::bind(&path)
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

/// Mounts what this daemon serves in the containers whose view a dead daemon has left.
fn repair_containers(instance: &Instance) {
    let (mountpoint, points) = (instance.mountpoint.clone(), instance.points());
    thread::spawn(move || match repair::replace_dead(&mountpoint, &points) {
        Ok(repaired) => log_repaired("dead view replaced", &repaired),
        Err(error) => tracing::warn!(%error, "cannot list the containers to repair"),
    });
}

fn log_repaired(act: &str, repaired: &[RepairedContainer]) {
    for RepairedContainer {
        pid,
        mounts,
        failed,
    } in repaired
    {
        if *mounts > 0 {
            tracing::info!(
                pid = pid.0,
                mounts,
                "{act} in the container of this process"
            );
        }
        if let Some(error) = failed {
            tracing::warn!(pid = pid.0, %error, "cannot reach every mount in the container of this process");
        }
    }
}

/// A daemon that has served.
struct Running {
    instance: Instance,
    supervisor: Arc<Supervisor>,
    descriptors: Arc<Descriptors>,
    /// The path of the socket for successors; `None` for an embedded daemon.
    socket: Option<PathBuf>,
}

impl Running {
    fn end(self, event: Event) -> Result<()> {
        for counter in metrics::COUNTERS {
            tracing::info!(counter = counter.name, value = counter.value(), "counted");
        }
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
            Event::Disconnected => tracing::info!("the mount point was unmounted"),
            Event::Stop => {}
        }
        if let Some(socket) = self.socket {
            let _ = fs::remove_file(socket);
            // A container of `plimsoll run`, whose daemon has no socket, ends before its view.
            log_repaired("view removed", &repair::remove(&self.instance.points())?);
        }
        self.instance.unmount();
        self.supervisor.leaving(&self.descriptors);
        Ok(())
    }
}
