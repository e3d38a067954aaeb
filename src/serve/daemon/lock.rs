//! The lock of a mount point, which one daemon at a time holds, and the files beside the lock.

use crate::base::paths::RUN_DIR;
use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::memfd::{MFdFlags, memfd_create},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The interval and the maximum of further attempts at a lock that another process holds, perhaps
/// only to test it ([`is_held`]).
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(5);
const MAX_LOCK_RETRIES: usize = 4;

/// Returns the path of the file of that kind for the mount point, in a directory that is made if it
/// does not exist.
pub(super) fn run_file(mountpoint: &Path, kind: &str) -> Result<PathBuf> {
    fs::create_dir_all(RUN_DIR).with_context(|| format!("cannot make {RUN_DIR}"))?;
    Ok(path(mountpoint, kind))
}

/// Returns the path of the lock of a mount point. The text of that file is the pid of the daemon
/// that serves there, or of the last daemon that did.
#[must_use]
pub fn lock_path(mountpoint: &Path) -> PathBuf {
    path(mountpoint, "lock")
}

fn path(mountpoint: &Path, kind: &str) -> PathBuf {
    // As systemd-escape(1) names units after paths: no two mount points have the same name.
    let name = mountpoint.to_string_lossy();
    let name = name.replace('-', "\\x2d").replace('/', "-");
    Path::new(RUN_DIR).join(format!("daemon{name}.{kind}"))
}

/// Locks the mount point. The lock lasts until the last process that has a duplicate of the
/// descriptor closes it or ends, in whatever way.
pub(super) fn acquire(mountpoint: &Path) -> Result<OwnedFd> {
    let path = run_file(mountpoint, "lock")?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let mut locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    for _ in 0..MAX_LOCK_RETRIES {
        let Err((file, _)) = locked else {
            break;
        };
        thread::sleep(LOCK_RETRY_INTERVAL);
        locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    }
    match locked {
        Ok(lock) => {
            // A duplicate, because `Flock` unlocks the file when it is dropped.
            let copy = lock.as_fd().try_clone_to_owned();
            std::mem::forget(lock);
            let copy = copy?;
            write_pid(&copy)?;
            Ok(copy)
        }
        Err((mut file, _)) => {
            let mut holder = String::new();
            file.rewind()?;
            file.read_to_string(&mut holder)?;
            bail!("another daemon serves this mount point (pid {holder})");
        }
    }
}

/// Returns a lock without a path, for a daemon whose mount point no other process can see. A lock with
/// a path would stay behind: its removal can hit the lock of the next daemon.
pub(super) fn private() -> Result<OwnedFd> {
    let lock = memfd_create(c"plimsoll-lock", MFdFlags::MFD_CLOEXEC);
    lock.context("cannot make a lock")
}

/// Returns whether a process holds the lock: a daemon, or a keeper between two daemons. A lock that
/// no process holds is held by this function for the moment of the test.
pub(super) fn is_held(mountpoint: &Path) -> Result<bool> {
    let path = run_file(mountpoint, "lock")?;
    let Ok(file) = File::open(&path) else {
        return Ok(false);
    };
    Ok(Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
}

/// Writes the pid of this process into the lock.
pub(super) fn write_pid(lock: &OwnedFd) -> Result<()> {
    let mut file = File::from(lock.try_clone()?);
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(std::process::id().to_string().as_bytes())?;
    Ok(())
}
