//! The directories of running containers on disk, and the removal of those that a killed run left.
//!
//! Each container has a directory with a lock file that its `plimsoll run` holds locked. A
//! directory with a free lock belongs to a killed run: the next start removes the directory. Every
//! step here holds a lock of the parent directory, so no start sees a half-made directory of
//! another.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::{
        statfs::{FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, statfs},
        statvfs::FsFlags,
    },
};

use crate::{
    base::paths::CONTAINER_DIRS,
    run::{
        cgroups::remove as cgroups,
        error::{RunError, at},
        root::undo::UndoRecord,
    },
};

/// Returns every directory that may hold containers' directories. No container may see them.
pub(crate) fn parents() -> impl Iterator<Item = &'static Path> {
    CONTAINER_DIRS.iter().map(Path::new)
}

/// The directory of one container. A drop removes it.
#[derive(Debug)]
pub(crate) struct ContainerDir {
    name: String,
    path: PathBuf,
    kept: Option<PathBuf>,
    parent: PathBuf,
    is_left: bool,
    _lock: Flock<fs::File>,
}

impl ContainerDir {
    /// Removes the directories that killed runs left, and creates the directory of a container with
    /// this name, or with a random one. With `keep` the container's changes outlive the directory.
    ///
    /// # Errors
    ///
    /// A name in use, a name with kept changes, and a directory that cannot be created.
    pub(crate) fn create(name: Option<&str>, keep: bool) -> Result<ContainerDir, RunError> {
        let parent = choose_parent();
        let _dirs = Cleanup::of(&parent)?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => random_name()?,
        };
        let kept = keep.then(|| parent.join("kept").join(&name));
        if let Some(path) = kept.clone().filter(|kept| kept.exists()) {
            return Err(RunError::KeptBefore { name, path });
        }
        let path = parent.join("live").join(&name);
        match create_private(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RunError::NameInUse(name));
            }
            result => result.map_err(at("create", &path))?,
        }
        let lock = try_lock(&path)?.ok_or_else(|| RunError::NameInUse(name.clone()))?;
        let dir = ContainerDir {
            name,
            path,
            kept,
            parent,
            is_left: false,
            _lock: lock,
        };
        if keep {
            // After a kill the next start finds this file, and keeps the changes.
            let mark = dir.path.join("keep");
            fs::write(&mark, "").map_err(at("write", mark))?;
        }
        Ok(dir)
    }

    /// Returns the container's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a directory here, for root only, and returns its path.
    ///
    /// # Errors
    ///
    /// A directory that cannot be created.
    pub(crate) fn create_dir(&self, name: &str) -> Result<PathBuf, RunError> {
        let path = self.path.join(name);
        create_private(&path).map_err(at("create", &path))?;
        Ok(path)
    }

    /// Leaves the directory to the next start, which tries again to keep the changes.
    pub(crate) fn leave(&mut self) {
        self.is_left = true;
    }

    /// Moves the changes out of the directory and returns their new path; `None` for a container
    /// whose changes are not kept.
    ///
    /// # Errors
    ///
    /// Changes that cannot be moved.
    pub(crate) fn keep_changes(&mut self) -> Result<Option<PathBuf>, RunError> {
        let Some(kept) = self.kept.take() else {
            return Ok(None);
        };
        // Without the lock the end of another container could remove the empty directory `kept`.
        let _guard = lock_parent(&self.parent)?;
        move_changes(&self.path, &kept)?;
        Ok(Some(kept))
    }
}

impl Drop for ContainerDir {
    fn drop(&mut self) {
        let Ok(_guard) = lock_parent(&self.parent) else {
            return;
        };
        if self.is_left || cgroups::exist(&self.name) {
            // The next start finds remaining cgroups by the name of this directory.
            tracing::warn!(path = %self.path.display(), "leaving the container's directory to the next start");
        } else if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "leaving the container's directory to the next start");
        }
        remove_empty(&self.parent);
    }
}

/// The lock of a parent directory without dead containers. A drop removes the directories that are
/// empty, and then frees the lock.
pub(crate) struct Cleanup {
    parent: PathBuf,
    _lock: Flock<fs::File>,
}

impl Cleanup {
    /// Locks a parent directory, removes the directories that killed runs left, and keeps their
    /// changes where they ask for it.
    ///
    /// # Errors
    ///
    /// A directory that cannot be created, locked or read.
    pub(crate) fn of(parent: &Path) -> Result<Cleanup, RunError> {
        let lock = lock_parent(parent)?;
        remove_dead(parent)?;
        Ok(Cleanup {
            parent: parent.to_owned(),
            _lock: lock,
        })
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        remove_empty(&self.parent);
    }
}

/// Removes a parent directory and the two in it where they are empty: other containers and kept
/// changes stay. The caller holds the lock.
fn remove_empty(parent: &Path) {
    for path in [parent.join("live"), parent.join("kept"), parent.to_owned()] {
        let _ = fs::remove_dir(path);
    }
}

/// Returns the first parent whose file system is writable and can hold the upper directory of an
/// overlay.
fn choose_parent() -> PathBuf {
    let refused = [OVERLAYFS_SUPER_MAGIC, FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC];
    let fits = |path: &&Path| {
        let existing = path.ancestors().find(|path| path.exists());
        let stat = existing.and_then(|path| statfs(path).ok());
        stat.is_some_and(|fs| {
            let is_refused = refused.contains(&FsType(fs.filesystem_type().0));
            !is_refused && !fs.flags().contains(FsFlags::ST_RDONLY)
        })
    };
    let [_, fallback] = CONTAINER_DIRS.map(Path::new);
    parents().find(fits).unwrap_or(fallback).to_owned()
}

/// Creates a directory for root only.
fn create_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Creates the parent of all containers' directories, and locks the parent.
fn lock_parent(parent: &Path) -> Result<Flock<fs::File>, RunError> {
    loop {
        create(parent)?;
        let directory = match fs::File::open(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(at("open", parent))?,
        };
        let lock = match Flock::lock(directory, FlockArg::LockExclusive) {
            Err((_, Errno::EINTR)) => continue,
            result => result.map_err(|(_, error)| at("lock", parent)(error))?,
        };
        // The last container removes the directory, so the locked directory may have lost its path.
        let inode = |metadata: io::Result<fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
        if inode(lock.metadata()) == inode(fs::metadata(parent)) {
            // Under the lock no other process removes them.
            create(&parent.join("live"))?;
            create(&parent.join("kept"))?;
            return Ok(lock);
        }
    }
}

/// Creates a private directory, which may exist, and the directories above it.
fn create(path: &Path) -> Result<(), RunError> {
    let result = match create_private(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(missing) = path.parent() {
                fs::create_dir_all(missing).map_err(at("create", missing))?;
            }
            create_private(path)
        }
        result => result,
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(at("create", path)),
    }
}

/// Locks a container's directory; `None` while its `plimsoll run` lives.
fn try_lock(path: &Path) -> Result<Option<Flock<fs::File>>, RunError> {
    let path = path.join("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(at("open", &path))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(at("lock", path)(error)),
    }
}

/// Removes the cgroups and directories of containers whose `plimsoll run` was killed. Keeps the
/// changes of those that were started with `--keep`.
fn remove_dead(parent: &Path) -> Result<(), RunError> {
    let live = parent.join("live");
    for entry in fs::read_dir(&live).map_err(at("read", &live))?.flatten() {
        let path = entry.path();
        let Ok(Some(_lock)) = try_lock(&path) else {
            continue;
        };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        tracing::info!(container = %name, "removing the remains of a killed container");
        cgroups::remove(&name);
        if cgroups::exist(&name) {
            // The next start finds remaining cgroups by the name of this directory.
            continue;
        }
        let undo = UndoRecord::read(&path);
        undo.remove_mountpoints();
        if path.join("keep").exists() {
            let kept = parent.join("kept").join(&*name);
            if let Err(error) = undo
                .merge_changes()
                .and_then(|()| move_changes(&path, &kept))
            {
                tracing::warn!(container = %name, %error, "cannot keep the changes of a killed container");
                continue;
            }
        }
        if let Err(error) = remove(&path) {
            tracing::warn!(container = %name, %error, "cannot remove the directory of a killed container");
        }
    }
    Ok(())
}

/// Moves the upper directory of a container to `kept`; does nothing for a container without one.
fn move_changes(path: &Path, kept: &Path) -> Result<(), RunError> {
    let upper = path.join("upper");
    match fs::symlink_metadata(&upper) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => fs::rename(&upper, kept).map_err(at("move the changes to", kept)),
    }
}

/// Removes a container's directory.
///
/// # Errors
///
/// `ResourceBusy` for a directory with a mount in it, whose files may belong to the host.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let device = fs::metadata(path)?.dev();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.metadata()?.dev() != device {
            return Err(io::Error::from(io::ErrorKind::ResourceBusy));
        }
    }
    fs::remove_dir_all(path)
}

/// Returns a random name of 12 hexadecimal digits.
fn random_name() -> Result<String, RunError> {
    let path = "/proc/sys/kernel/random/uuid";
    let uuid = fs::read_to_string(path).map_err(at("read", path))?;
    Ok(uuid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect())
}
