//! Where running containers keep what is theirs on disk, and what a killed one left there.
//!
//! Each container has a directory with a lock file that its `plimsoll run` holds locked. A
//! directory whose lock is free belongs to nobody: the next start removes it. Everything here
//! happens under a lock of the directory above, so two starts never see each other half made.

use crate::base::paths::CONTAINER_DIRS;
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::statfs::{FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, statfs},
};

use crate::run::{
    cgroups::container as cgroups,
    error::{RunError, at},
    root::undo::Traces,
};

/// Every directory that may hold containers; nothing of it is shown in one.
pub(crate) fn roots() -> impl Iterator<Item = &'static Path> {
    CONTAINER_DIRS.iter().map(Path::new)
}

/// One container's directory, removed when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    name: String,
    live: PathBuf,
    kept: Option<PathBuf>,
    root: PathBuf,
    left: bool,
    _lock: Flock<fs::File>,
}

impl Place {
    /// Removes what killed ones left, and makes the directory for a container of this name, or of
    /// a random one; with `keep` its changes outlive it.
    ///
    /// # Errors
    ///
    /// When the name is in use, or holds kept changes; when the disk refuses.
    pub(crate) fn claim(name: Option<&str>, keep: bool) -> Result<Place, RunError> {
        let root = root();
        let _guard = locked(&root)?;
        sweep(&root)?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => random()?,
        };
        let kept = keep.then(|| root.join("kept").join(&name));
        if let Some(kept) = kept.as_ref().filter(|kept| kept.exists()) {
            return Err(RunError::KeptBefore(kept.clone()));
        }
        let live = root.join("live").join(&name);
        match private(&live) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RunError::NameInUse(name));
            }
            made => made.map_err(at("make", &live))?,
        }
        let lock = lock_of(&live)?.ok_or_else(|| RunError::NameInUse(name.clone()))?;
        let place = Place {
            name,
            live,
            kept,
            root,
            left: false,
            _lock: lock,
        };
        if keep {
            // So that a start after a kill saves the changes instead of removing them.
            let mark = place.live.join("keep");
            fs::write(&mark, "").map_err(at("write", mark))?;
        }
        Ok(place)
    }

    /// The container's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The container's directory.
    pub(crate) fn path(&self) -> &Path {
        &self.live
    }

    /// Makes a directory of this name in it, for root only.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, RunError> {
        let path = self.live.join(name);
        private(&path).map_err(at("make", &path))?;
        Ok(path)
    }

    /// Leaves the directory to the next start, which keeps what this one could not.
    pub(crate) fn leave(&mut self) {
        self.left = true;
    }

    /// Moves the changes to where they stay, and says where; `None` when they are not to be kept.
    pub(crate) fn keep(&mut self) -> Result<Option<PathBuf>, RunError> {
        let Some(kept) = self.kept.take() else {
            return Ok(None);
        };
        // Another container that ends now would remove the directory above while it is empty.
        let _guard = locked(&self.root)?;
        save(&self.live, &kept)?;
        Ok(Some(kept))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Ok(_guard) = locked(&self.root) else {
            return;
        };
        if self.left || cgroups::exist(&self.name) {
            // Only while its place is there are they found again.
            tracing::warn!(path = %self.live.display(), "left behind for the next start");
        } else if let Err(error) = remove(&self.live) {
            tracing::warn!(path = %self.live.display(), %error, "left behind for the next start");
        }
        // Only where empty: other containers may live, and kept changes stay.
        for path in [
            self.root.join("live"),
            self.root.join("kept"),
            self.root.clone(),
        ] {
            let _ = fs::remove_dir(path);
        }
    }
}

/// The first place that can hold an overlay's changes.
fn root() -> PathBuf {
    let refused = [OVERLAYFS_SUPER_MAGIC, FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC];
    let fits = |path: &&Path| {
        let above = path.ancestors().find(|path| path.exists());
        let kind = above.and_then(|path| statfs(path).ok());
        kind.is_some_and(|fs| !refused.contains(&FsType(fs.filesystem_type().0)))
    };
    let [_, fallback] = CONTAINER_DIRS.map(Path::new);
    roots().find(fits).unwrap_or(fallback).to_owned()
}

/// Makes a directory that only root may look into.
fn private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Makes the directory above all containers, and holds it alone.
fn locked(root: &Path) -> Result<Flock<fs::File>, RunError> {
    loop {
        for path in [root.to_owned(), root.join("live"), root.join("kept")] {
            match private(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if let Some(above) = path.parent() {
                        fs::create_dir_all(above).map_err(at("make", above))?;
                    }
                    let _ = private(&path);
                }
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(at("make", path)(error));
                }
                _ => {}
            }
        }
        let directory = match fs::File::open(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(at("open", root))?,
        };
        let held = match Flock::lock(directory, FlockArg::LockExclusive) {
            Err((_, Errno::EINTR)) => continue,
            result => result.map_err(|(_, error)| at("lock", root)(error))?,
        };
        // The last container removes the directory: what is locked may be another one by now.
        let inode = |metadata: io::Result<fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
        let live = root.join("live");
        if inode(held.metadata()) == inode(fs::metadata(root)) && live.exists() {
            return Ok(held);
        }
    }
}

/// The lock of a container's directory; `None` when its `plimsoll run` lives.
fn lock_of(live: &Path) -> Result<Option<Flock<fs::File>>, RunError> {
    let path = live.join("lock");
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

/// Removes what containers left whose `plimsoll run` was killed.
fn sweep(root: &Path) -> Result<(), RunError> {
    let live = root.join("live");
    for entry in fs::read_dir(&live).map_err(at("read", &live))?.flatten() {
        let path = entry.path();
        let Ok(Some(_lock)) = lock_of(&path) else {
            continue;
        };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        tracing::info!(container = %name, "removing what it left");
        cgroups::remove(&name);
        if cgroups::exist(&name) {
            // Only while its place is there are they found again.
            continue;
        }
        let traces = Traces::read(&path);
        traces.clear();
        if path.join("keep").exists() {
            let kept = root.join("kept").join(&*name);
            if let Err(error) = traces.gather().and_then(|()| save(&path, &kept)) {
                tracing::warn!(container = %name, %error, "cannot keep its changes");
                continue;
            }
        }
        if let Err(error) = remove(&path) {
            tracing::warn!(container = %name, %error, "cannot remove what it left");
        }
    }
    Ok(())
}

fn save(live: &Path, kept: &Path) -> Result<(), RunError> {
    let upper = live.join("upper");
    match fs::rename(&upper, kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.map_err(at("keep", kept)),
    }
}

/// Removes a container's directory; refuses while something is mounted in it, for what is
/// mounted there belongs to the host.
fn remove(live: &Path) -> io::Result<()> {
    let device = fs::metadata(live)?.dev();
    for entry in fs::read_dir(live)? {
        let entry = entry?;
        if entry.metadata()?.dev() != device {
            return Err(io::Error::from(io::ErrorKind::ResourceBusy));
        }
    }
    fs::remove_dir_all(live)
}

fn random() -> Result<String, RunError> {
    let path = "/proc/sys/kernel/random/uuid";
    let uuid = fs::read_to_string(path).map_err(at("read", path))?;
    Ok(uuid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect())
}
