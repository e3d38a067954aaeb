//! The place where a daemon serves: its lock, and what lies there when it comes.

use crate::base::{
    mountinfo,
    paths::{self, RUN_DIR},
};
use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MntFlags, umount2},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// So long and so often one waits for others who only look whether somebody holds it.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(5);
const MAX_LOCK_RETRIES: usize = 4;

/// The file of that kind that belongs to the mount point, in a directory that is made.
pub(super) fn file(mountpoint: &Path, kind: &str) -> Result<PathBuf> {
    fs::create_dir_all(RUN_DIR).with_context(|| format!("cannot make {RUN_DIR}"))?;
    Ok(path(mountpoint, kind))
}

/// Where the lock of a mount point is: its text is the pid of the daemon that serves there, or of the
/// last one that did.
#[must_use]
pub fn lock_path(mountpoint: &Path) -> PathBuf {
    path(mountpoint, "lock")
}

fn path(mountpoint: &Path, kind: &str) -> PathBuf {
    // As systemd-escape(1) names units after paths: no two have the same name.
    let name = mountpoint.to_string_lossy();
    let name = name.replace('-', "\\x2d").replace('/', "-");
    Path::new(RUN_DIR).join(format!("daemon{name}.{kind}"))
}

/// Holds the mount point for this process, and for whoever is handed the lock: it goes with the
/// last of them, however they end.
pub(super) fn lock(mountpoint: &Path) -> Result<OwnedFd> {
    let path = file(mountpoint, "lock")?;
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
            // A copy, because dropping the lock itself would give it up.
            let copy = lock.as_fd().try_clone_to_owned();
            std::mem::forget(lock);
            let copy = copy?;
            sign(&copy)?;
            Ok(copy)
        }
        Err((mut file, _)) => {
            let mut holder = String::new();
            file.rewind()?;
            file.read_to_string(&mut holder)?;
            bail!("another daemon serves it (pid {holder})");
        }
    }
}

/// Whether somebody holds the mount point: a daemon, or a keeper between two of them. If nobody
/// does, it is held for this look.
pub(super) fn is_held(mountpoint: &Path) -> Result<bool> {
    let path = file(mountpoint, "lock")?;
    let Ok(file) = File::open(&path) else {
        return Ok(false);
    };
    Ok(Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
}

/// Writes into the lock whose it is now.
pub(super) fn sign(lock: &OwnedFd) -> Result<()> {
    let mut file = File::from(lock.try_clone()?);
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(std::process::id().to_string().as_bytes())?;
    Ok(())
}

/// The mount point as the kernel names it. What is mounted there may be dead, and cannot be asked.
pub(super) fn resolved(mountpoint: &Path) -> Result<PathBuf> {
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
pub(super) fn clear(mountpoint: &Path) -> Result<()> {
    while let Some(kind) = mounted_at(mountpoint)? {
        if kind != paths::FS_TYPE {
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

/// The type of the file system that is mounted there last.
pub(super) fn mounted_at(point: &Path) -> Result<Option<String>> {
    let mounts = mountinfo::own().context("cannot read /proc/self/mountinfo")?;
    let point: PathBuf = point.components().collect();
    let mut mounts = mounts.into_iter().filter(|mount| mount.point == point);
    Ok(mounts.next_back().map(|mount| mount.kind))
}
