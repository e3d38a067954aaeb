//! The lock of a mount point, which one daemon at a time holds, and the files beside the lock.
//!
//! Only root may open the lock: flock(2) needs no more than an open file, so any user who can read a lock
//! can keep a daemon from it. A lock of a version before that can be read by all, and a user may hold it
//! by an old descriptor. Such a file is replaced by a new one.

use super::lock_holder::is_held_by_root;
use crate::base::paths::{RUN_DIR, run_file};
use anyhow::{Context, Result};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::memfd::{MFdFlags, memfd_create},
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The interval and the maximum of further attempts at a lock that another process holds, perhaps
/// only to test it ([`is_held`]).
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(5);
const MAX_LOCK_RETRIES: usize = 4;

/// The interval of further attempts of a daemon that serves without the lock.
const LATE_LOCK_INTERVAL: Duration = Duration::from_secs(1);

/// The mode of the lock.
const MODE: u32 = 0o600;

/// The error of a daemon that does not get the lock.
#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    /// Another daemon has the lock.
    #[error(
        "another daemon serves this mount point (pid {holder}): add --replace to take its place"
    )]
    Held {
        /// The pid of that daemon, as it wrote the pid down.
        holder: String,
    },
    /// The kernel refuses: the file system of the lock is full, read-only or gone.
    #[error("cannot lock {}", path.display())]
    Refused {
        /// The lock.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Makes the directory of the files for mount points, if it does not exist.
///
/// # Errors
/// The errors of `mkdir(2)`.
pub(super) fn make_directory() -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(RUN_DIR)
}

/// Returns the path of the lock of a mount point, which only root may open.
#[must_use]
pub fn lock_path(mountpoint: &Path) -> PathBuf {
    run_path(mountpoint, "lock")
}

/// Returns the path of a file whose text is the pid of the daemon that serves on the mount point, or of
/// the last daemon that did.
#[must_use]
pub fn pid_path(mountpoint: &Path) -> PathBuf {
    run_path(mountpoint, "pid")
}

/// Returns the path of the file of that kind for the mount point.
pub(super) fn run_path(mountpoint: &Path, kind: &str) -> PathBuf {
    run_file("daemon", mountpoint, kind)
}

/// Locks the mount point. The lock lasts until the last process that has a duplicate of the
/// descriptor closes it or ends, in whatever way.
pub(super) fn acquire(mountpoint: &Path) -> Result<OwnedFd, LockError> {
    let path = lock_path(mountpoint);
    let refused = |source| LockError::Refused {
        path: path.clone(),
        source,
    };
    make_directory().map_err(refused)?;
    for attempt in 0..=MAX_LOCK_RETRIES {
        if attempt > 0 {
            thread::sleep(LOCK_RETRY_INTERVAL);
        }
        if let Some(lock) = try_acquire(&path).map_err(refused)? {
            write_pid(mountpoint);
            return Ok(lock.into());
        }
    }
    let holder = fs::read_to_string(pid_path(mountpoint));
    Err(LockError::Held {
        holder: holder.unwrap_or_else(|_| "unknown".to_owned()),
    })
}

/// Locks the mount point for a daemon that has the right to serve by the word in the state. Readers
/// wait for this daemon, so it serves on where the lock cannot be made, and locks as soon as it can.
///
/// # Errors
/// When another daemon has the lock.
pub(super) fn acquire_to_resume(mountpoint: &Path) -> Result<OwnedFd> {
    match acquire(mountpoint) {
        Err(error @ LockError::Refused { .. }) => {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::warn!(error, "serving without the lock of the mount point");
            let mountpoint = mountpoint.to_owned();
            thread::spawn(move || {
                let lock = loop {
                    thread::sleep(LATE_LOCK_INTERVAL);
                    if let Ok(lock) = acquire(&mountpoint) {
                        break lock;
                    }
                };
                tracing::info!("the mount point is locked now");
                // The lock is held up to the end of this process.
                std::mem::forget(lock);
            });
            Ok(File::open("/dev/null")?.into())
        }
        acquired => Ok(acquired?),
    }
}

/// Locks the file at `path`; `None` if another daemon holds it, or replaces it just now.
fn try_acquire(path: &Path) -> io::Result<Option<File>> {
    let file = open(path)?;
    if is_private(&file)? {
        // Another daemon may have replaced the file since.
        return Ok(locked(file)?.filter(|file| is_at(file, path)));
    }
    // Held up to the end of the replacement, so that no daemon of an older version begins.
    let old = locked(file.try_clone()?)?;
    if old.is_none() && is_held_by_root(&file) {
        return Ok(None);
    }
    let new = path.with_extension("lock.new");
    let replaced = open(&new).and_then(|file| {
        let Some(file) = locked(file)?.filter(|file| is_at(file, &new)) else {
            return Ok(None);
        };
        if !is_at(&file, path) && File::open(path).and_then(|file| is_private(&file))? {
            // Another daemon was faster.
            fs::remove_file(&new)?;
            return Ok(None);
        }
        fs::rename(&new, path)?;
        Ok(Some(file))
    });
    match (replaced, old) {
        // The file system is full, and this daemon has the old file. The mode of that file must stay: a
        // private file tells that no user ever could open it.
        (Err(_), Some(old)) => Ok(Some(old)),
        (replaced, _) => replaced,
    }
}

/// Opens a lock, which is made if it does not exist. A lock needs no right to write, and an open file
/// that is written keeps its file system from becoming read-only.
fn open(path: &Path) -> io::Result<File> {
    let flags = nix::libc::O_CREAT | nix::libc::O_NOFOLLOW;
    (OpenOptions::new().read(true).mode(MODE))
        .custom_flags(flags)
        .open(path)
}

fn is_private(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o777 & !MODE == 0)
}

/// Returns whether the file still is the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let number = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let open = file.metadata().map(number).ok();
    open.is_some() && open == fs::symlink_metadata(path).map(number).ok()
}

/// Locks an open file; `None` if another open file has the lock.
fn locked(file: File) -> io::Result<Option<File>> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => {
            // A duplicate, because `Flock` unlocks the file when it is dropped.
            let copy = lock.as_fd().try_clone_to_owned();
            std::mem::forget(lock);
            Ok(Some(copy?.into()))
        }
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}

/// Removes the lock of a mount point on which no daemon serves any more, and the pid beside the lock. Does
/// nothing if `lock` is not the file at that path. A daemon that opened the lock before finds that out
/// ([`try_acquire`]).
pub(super) fn remove(lock: impl AsFd, mountpoint: &Path) {
    let path = lock_path(mountpoint);
    let Ok(lock) = lock.as_fd().try_clone_to_owned().map(File::from) else {
        return;
    };
    if is_at(&lock, &path) {
        let _ = fs::remove_file(pid_path(mountpoint));
        let _ = fs::remove_file(path);
    }
}

/// Returns a lock without a path, for a daemon whose mount point no other process can see.
pub(super) fn private() -> Result<OwnedFd> {
    let lock = memfd_create(c"plimsoll-lock", MFdFlags::MFD_CLOEXEC);
    lock.context("cannot make a lock")
}

/// Returns whether a process holds the lock: a daemon, or a keeper between two daemons. A lock that
/// no process holds is held by this function for the moment of the test.
pub(super) fn is_held(mountpoint: &Path) -> bool {
    let Ok(file) = File::open(lock_path(mountpoint)) else {
        return false;
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => false,
        Err((file, _)) => is_private(&file).unwrap_or(true) || is_held_by_root(&file),
    }
}

/// Writes the pid of this process down, for a person who wants to know which process serves.
pub(super) fn write_pid(mountpoint: &Path) {
    let written = make_directory().and_then(|()| {
        let path = pid_path(mountpoint);
        fs::write(&path, std::process::id().to_string())
    });
    if let Err(error) = written {
        tracing::warn!(%error, "cannot write the pid of this daemon down");
    }
}
