//! The host daemon: builds the rooms, says when it is ready, ends on a signal or for a successor.

mod instance;
mod lock;
mod pending_attach;
mod post_stop;
mod predecessor;
mod successor;
mod supervisor;
mod takeover;

use crate::{
    base::{metrics, units::Micros},
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
    unistd::{Pid, getppid},
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
    os::fd::AsFd,
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
/// The status of a daemon that could not serve.
const FAILED: i32 = 125;
/// How long a daemon at least lives that does not end well, where nothing else slows down the next.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Where.
    pub mountpoint: PathBuf,
    /// Whether a keeper watches over the daemon, unless systemd does.
    pub is_kept: bool,
    /// After how long a daemon that hangs is replaced.
    pub watchdog: Duration,
    /// How old an answer may be when a reader is told it.
    pub max_age: Micros,
    /// Whether a daemon that serves there is to be replaced.
    pub replaces: bool,
    /// Whether it is only to be found out whether that could be done.
    pub is_dry_run: bool,
    /// Whether it serves one container of `plimsoll run`: it then says `ready` on standard
    /// output, and ends with the process that started it, in whose mount namespace nobody else
    /// serves.
    pub is_embedded: bool,
    /// The file with the configuration, for what is started on behalf of the daemon.
    pub configuration: PathBuf,
    /// The pid of a daemon whose keeper died; standard input is its socket.
    pub adopts: Option<i32>,
}

/// What may happen to a daemon that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// It was told to end.
    Stop,
    /// It was told to make room for a successor.
    Restart,
    /// A successor serves.
    Replaced,
    /// The kernel has ended a connection.
    Disconnected,
}

/// Serves until it is told to end or replaced, and answers the exit status. `complain` tells the
/// user why a daemon of the keeper's ended.
///
/// What a daemon that is dead has left mounted there is taken over.
///
/// # Errors
/// When another daemon serves there, something else is mounted there, or the kernel refuses.
pub fn serve(mut config: ServeSettings, complain: impl Fn(&anyhow::Error)) -> Result<i32> {
    if config.is_embedded && !ends_with_its_parent()? {
        return Ok(0);
    }
    config.mountpoint = lock::resolved(&config.mountpoint)?;
    if config.is_dry_run {
        let acting = || format!("cannot go on for {}", config.mountpoint.display());
        return could_replace(&config).with_context(acting).map(|()| 0);
    }
    if Supervisor::is_systemd() {
        if config.replaces {
            bail!("--replace is for daemons with a keeper: under systemd, systemctl restart");
        }
        let held = Supervisor::held_by_systemd()?;
        let end = Instant::now() + MIN_LIFETIME;
        let result = live(&config, held, Supervisor::Systemd);
        if result.is_err() {
            // systemd starts the next one at once, which may fail likewise.
            thread::sleep(end.saturating_duration_since(Instant::now()));
        }
        return result.map(|()| 0);
    }
    if !config.is_kept {
        return live(&config, Descriptors::default(), Supervisor::None).map(|()| 0);
    }
    let adopted = config.adopts.map(adopted).transpose()?;
    let status = keeper::keep(config.watchdog, adopted, |life| {
        match begin(&config, life) {
            Ok(()) => 0,
            Err(error) => {
                complain(&error);
                FAILED
            }
        }
    });
    status.context("cannot keep a daemon alive")
}

/// Whether this program could go on where the daemon stops that serves there, which is not disturbed.
fn could_replace(config: &ServeSettings) -> Result<()> {
    let (_predecessor, mut held) = Predecessor::ask(&config.mountpoint)?;
    let mut instance = Instance::resume(config, &mut held)?;
    let agreed = instance.sessions().map(drop);
    instance.leave();
    agreed
}

/// The life of a daemon that has a keeper.
fn begin(config: &ServeSettings, mut life: Start) -> Result<()> {
    if config.is_embedded && !ends_with_its_parent()? {
        return Ok(());
    }
    let supervisor = Supervisor::keeper(life.keeper);
    if life.purpose == Purpose::End {
        if let Ok(mut instance) = Instance::resume(config, &mut life.held) {
            // Its readers wait in vain otherwise.
            tell("taken out", &repair::remove(&instance.points())?);
            instance.own()?;
            instance.end();
        }
        return Ok(());
    }
    live(config, life.held, supervisor)
}

/// The daemon whose keeper this process is to be.
fn adopted(pid: i32) -> Result<Adopted> {
    let stdin = std::io::stdin();
    let daemon = stdin.as_fd().try_clone_to_owned()?;
    let nothing = std::fs::File::open("/dev/null")?;
    crate::base::sys::fd::dup_onto(stdin.as_fd(), nothing.as_fd())?;
    Ok(Adopted {
        pid: Pid::from_raw(pid),
        daemon,
    })
}

/// Asks for a signal at the parent's end; whether the parent has not ended before.
fn ends_with_its_parent() -> Result<bool> {
    let parent = getppid();
    prctl::set_pdeathsig(Signal::SIGTERM).context("cannot ask for a signal at the parent's end")?;
    // It may have ended before it was asked for.
    Ok(getppid() == parent && parent != Pid::from_raw(1))
}

/// The life of a daemon: takes its place, serves, and ends as it is told to.
fn live(config: &ServeSettings, held: Descriptors, supervisor: Supervisor) -> Result<()> {
    let acting = || format!("cannot serve {}", config.mountpoint.display());
    // Caught before there are threads, so that none of them is ended by a signal.
    let signals = Signals::new(END_SIGNALS).context("cannot catch signals")?;
    // Whoever started this process may have held them back for itself.
    nix::sys::signal::SigSet::all()
        .thread_unblock()
        .context("cannot let signals through")?;
    let is_first = held.is_empty();
    let (mut instance, sessions) =
        takeover::take(config, held, &supervisor).with_context(acting)?;
    let supervisor = Arc::new(supervisor);
    let (sender, events) = channel();
    sessions.run(&sender);
    if !instance.is_resumed {
        instance.extend().with_context(acting)?.run(&sender);
    }
    let handed = Arc::new(instance.held()?);
    if !instance.is_resumed {
        supervisor.hold(&handed)?;
    }
    let answers = instance.answers();
    thread::spawn(move || answer::sample_loads(&answers));
    let door = (!config.is_embedded).then(|| open_door(config, &instance, &supervisor, &sender));
    let door = door.transpose()?;
    let resumed = instance.is_resumed;
    tracing::info!(mountpoint = %config.mountpoint.display(), resumed, "serving");
    supervisor.serving()?;
    if config.is_embedded && is_first {
        let mut out = std::io::stdout().lock();
        writeln!(out, "ready").context("cannot say that it is ready")?;
        out.flush().context("cannot say that it is ready")?;
    }
    instance.own()?;
    watch_signals(signals, &sender);
    if !instance.is_resumed && !config.is_embedded {
        heal(&instance);
    }
    let watched = Arc::clone(&supervisor);
    let (configured, kept) = (config.clone(), Arc::clone(&handed));
    thread::spawn(move || {
        let welcome = (!configured.is_embedded).then(|| PendingAttach::of(&configured));
        let look = || welcome.iter().for_each(PendingAttach::look);
        // Also where nobody watches over it.
        look();
        watched.attend(&configured, &kept, look);
    });
    let event = events.recv().unwrap_or(Event::Stop);
    end(event, instance, &supervisor, &handed, door)
}

fn watch_signals(mut signals: Signals, events: &Sender<Event>) {
    let events = events.clone();
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

/// Has successors let in at the door whose path is answered. Where readers wait, there is none
/// rather than no daemon.
fn open_door(
    config: &ServeSettings,
    instance: &Instance,
    supervisor: &Arc<Supervisor>,
    events: &Sender<Event>,
) -> Result<PathBuf> {
    let path = lock::file(&config.mountpoint, "socket")?;
    let opened = ReplaceListener::open(&path)
        .and_then(|door| Ok((door, Handover::of(instance, supervisor)?)));
    let events = events.clone();
    match opened {
        Ok((door, work)) => {
            thread::spawn(move || door.attend(&work, &events));
        }
        Err(error) if instance.is_resumed => {
            let error = format!("{error:#}");
            tracing::error!(error, "this daemon cannot be replaced, only restarted");
        }
        Err(error) => return Err(error),
    }
    Ok(path)
}

/// Puts what this daemon serves in the place of what a daemon before it served that was lost.
fn heal(instance: &Instance) {
    let (mountpoint, points) = (instance.mountpoint.clone(), instance.points());
    thread::spawn(move || match repair::replace_dead(&mountpoint, &points) {
        Ok(repaired) => tell("healed", &repaired),
        Err(error) => tracing::warn!(%error, "cannot look for containers to heal"),
    });
}

fn tell(what: &str, repaired: &[RepairedContainer]) {
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
                "{what} in the container of this process"
            );
        }
        if let Some(error) = failed {
            tracing::warn!(pid = pid.0, %error, "cannot reach all of the container of this process");
        }
    }
}

fn end(
    event: Event,
    instance: Instance,
    supervisor: &Arc<Supervisor>,
    held: &Descriptors,
    door: Option<PathBuf>,
) -> Result<()> {
    for counter in metrics::COUNTERS {
        tracing::info!(counter = counter.name, value = counter.value(), "counted");
    }
    match event {
        Event::Restart => {
            tracing::info!("making room for a successor");
            if let Err(error) = Handover::of(&instance, supervisor)?.rest() {
                tracing::warn!(error = format!("{error:#}"), "leaving it to the successor");
            }
            instance.leave();
            return Ok(());
        }
        Event::Replaced => {
            tracing::info!("a successor serves");
            instance.leave();
            supervisor.leaving(&Descriptors::default());
            return Ok(());
        }
        Event::Disconnected if instance.is_mounted()? => {
            instance.leave();
            bail!("the kernel has ended a connection");
        }
        Event::Disconnected => tracing::info!("somebody unmounted it"),
        Event::Stop => {}
    }
    if let Some(door) = door {
        let _ = fs::remove_file(door);
        // A container of `run`, which has no door, ends before its view.
        tell("taken out", &repair::remove(&instance.points())?);
    }
    instance.end();
    supervisor.leaving(held);
    Ok(())
}
