//! The host daemon: builds the rooms, says when it is ready, ends on a signal.

use crate::{
    answer::{self, Answers},
    fuse::{Cached, Connection, Direct, Mounted, Server, tree::CONTAINERS_NAME},
    metrics, mounts,
    units::Micros,
};
use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MntFlags, umount2},
};
use sd_notify::NotifyState;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

const ENDING: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];

// Where the locks are that say which mount point is served by whom.
const LOCKS: &str = "/run/plimsoll";

/// Serves on the mount point until a signal ends it; tells systemd when it is ready.
///
/// What a daemon that is dead has left mounted there is taken over. No answer is older than
/// `max_age` when a reader is told it.
///
/// # Errors
/// When another daemon serves there, something else is mounted there, or the kernel refuses.
pub fn serve(mountpoint: &Path, max_age: Micros) -> Result<()> {
    let mountpoint = &resolved(mountpoint)?;
    let acting = || format!("cannot serve {}", mountpoint.display());
    let _lock = lock(mountpoint).with_context(acting)?;
    clear(mountpoint).with_context(acting)?;
    serve_until_told(mountpoint, max_age, || {
        sd_notify::notify(&[NotifyState::Ready]).context("cannot tell systemd that it is ready")
    })
    .with_context(acting)
}

/// Serves one container of `plimsoll run`: says `ready` on standard output, and ends when the
/// process ends that started this one, in whose mount namespace nobody else serves.
///
/// # Errors
/// When `mountpoint` is no directory, or the kernel refuses.
pub fn serve_embedded(mountpoint: &Path, max_age: Micros) -> Result<()> {
    let parent = nix::unistd::getppid();
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)
        .context("cannot ask for a signal at the parent's end")?;
    // It may have ended before it was asked for.
    if nix::unistd::getppid() != parent {
        return Ok(());
    }
    serve_until_told(mountpoint, max_age, || {
        let mut out = std::io::stdout().lock();
        writeln!(out, "ready").context("cannot say that it is ready")?;
        out.flush().context("cannot say that it is ready")
    })
}

/// Serves until a signal ends it, or somebody unmounts; `ready` is called once, when the first
/// read would be answered.
fn serve_until_told(
    mountpoint: &Path,
    max_age: Micros,
    ready: impl FnOnce() -> Result<()>,
) -> Result<()> {
    // Caught before there are threads, so that none of them is ended by a signal.
    let mut signals = Signals::new(ENDING).context("cannot catch signals")?;
    // Whoever started this process may have held them back for itself.
    nix::sys::signal::SigSet::all()
        .thread_unblock()
        .context("cannot let signals through")?;
    let answers = Arc::new(Answers::here()?.with_max_age(max_age.half()));
    let server = Arc::new(Server::new(Arc::clone(&answers)));
    let (direct, device) = Mounted::new(mountpoint, Connection::Direct)?;
    run(session(Direct(Arc::clone(&server)), device)?, &signals);
    // The way to the directory leads through the first mount.
    let (cached, device) = Mounted::new(&mountpoint.join(CONTAINERS_NAME), Connection::Cached)?;
    run(session(Cached(server), device)?, &signals);
    thread::spawn(move || answer::sample_loads(&answers));
    tracing::info!(mountpoint = %mountpoint.display(), "serving");
    ready()?;
    if signals.forever().next().is_none() {
        tracing::info!("somebody unmounted it");
    }
    drop(cached);
    drop(direct);
    for counter in metrics::COUNTERS {
        tracing::info!(counter = counter.name, value = counter.value(), "counted");
    }
    Ok(())
}

/// Answers the requests of a connection until it is unmounted, which ends the daemon too.
fn run<F: fuser::Filesystem>(session: fuser::Session<F>, signals: &Signals) {
    let ended = signals.handle();
    thread::spawn(move || {
        if let Err(error) = session.run() {
            tracing::error!(%error, "the session ended");
        }
        ended.close();
    });
}

fn session<F: fuser::Filesystem>(server: F, device: OwnedFd) -> Result<fuser::Session<F>> {
    let mut config = fuser::Config::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    config.n_threads = Some(threads.min(4));
    let session = fuser::Session::from_fd(server, device, fuser::SessionACL::All, config)
        .context("cannot agree on a protocol with the kernel")?;
    Ok(session)
}

/// Holds the mount point for this process; the lock goes with it, however it ends.
fn lock(mountpoint: &Path) -> Result<Flock<File>> {
    fs::create_dir_all(LOCKS).with_context(|| format!("cannot make {LOCKS}"))?;
    // As systemd-escape(1) names units after paths: no two have the same name.
    let name = mountpoint.to_string_lossy();
    let name = name.replace('-', "\\x2d").replace('/', "-");
    let path = Path::new(LOCKS).join(format!("daemon{name}.lock"));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)?;
            lock.write_all(std::process::id().to_string().as_bytes())?;
            Ok(lock)
        }
        Err((mut file, _)) => {
            let mut holder = String::new();
            file.rewind()?;
            file.read_to_string(&mut holder)?;
            bail!("another daemon serves it (pid {holder})");
        }
    }
}

/// The mount point as the kernel names it. What is mounted there may be dead, and cannot be asked.
fn resolved(mountpoint: &Path) -> Result<PathBuf> {
    if let Ok(path) = fs::canonicalize(mountpoint) {
        return Ok(path);
    }
    let path = std::path::absolute(mountpoint)?;
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        bail!(
            "cannot serve {}: it is no directory of its own",
            path.display()
        );
    };
    fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    let above =
        fs::canonicalize(above).with_context(|| format!("cannot find {}", above.display()))?;
    Ok(above.join(name))
}

/// Takes away what a dead daemon left mounted, and makes the directory if there is none.
fn clear(mountpoint: &Path) -> Result<()> {
    while let Some(kind) = mounted_at(mountpoint)? {
        if kind != mounts::KIND {
            bail!(
                "a file system of type {kind} is mounted there: unmount it, or choose another place"
            );
        }
        // The lock is ours, so nobody serves it.
        tracing::warn!(mountpoint = %mountpoint.display(), "taking over from a daemon that died");
        umount2(mountpoint, MntFlags::MNT_DETACH).context("cannot unmount what is left there")?;
    }
    fs::create_dir_all(mountpoint).context("cannot make the directory")
}

fn mounted_at(point: &Path) -> Result<Option<String>> {
    let mountinfo = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(mountinfo).context("cannot read /proc/self/mountinfo")?;
    let point: PathBuf = point.components().collect();
    let mounts = mounts::parse(&text).filter(|mount| mount.point == point);
    Ok(mounts.last().map(|mount| mount.kind))
}
