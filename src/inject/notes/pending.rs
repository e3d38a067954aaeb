//! Notes of the containers that wait for their files, because their hooks found no daemon.
//!
//! A hook may run as an unprivileged user of the host (user namespaces). So there are two directories:
//! one for the notes of root, which nobody else may open, and one in which every user may write a note. A
//! reader must not trust the notes of users. Their directory is a tmpfs of 1 MB and 1024 inodes, as
//! `/run/lock` is one on Debian: a user can fill the tmpfs, but not `/run`. A removal of notes would be
//! no bound, because a removed file takes its memory as long as a process has it open.

use super::users_directory;
use crate::{
    base::{
        paths::{PENDING_NOTES, USERS_PENDING_NOTES},
        sys::owner_of,
        units::Pid,
    },
    inject::namespace::{inode_of, processes},
};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags},
    sys::stat::Mode,
    unistd::{linkat, mkdir},
};
use std::{
    collections::BTreeMap,
    fs::{self, DirEntry, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The directories of notes.
const DIRECTORIES: [&str; 2] = [PENDING_NOTES, USERS_PENDING_NOTES];

/// The maximum length of a note, in bytes.
const MAX_NOTE: u64 = 4096;

/// The note of a container that waits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PendingNote {
    /// The name that the engine gave the container.
    pub id: String,
    /// The inode number of the container's mount namespace.
    pub mount_namespace: u64,
    /// The mount point at which the hook looked for the view.
    pub view: PathBuf,
}

/// A container that waits and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingContainer {
    /// The name that the engine gave the container.
    pub id: String,
    /// A process in the container.
    pub pid: Pid,
    /// True if root left the note, false for another user.
    pub is_roots: bool,
}

impl PendingNote {
    /// Makes the note of the container of process `pid`, or of this process for `None`. The hook
    /// looked for the view at `view`.
    ///
    /// # Errors
    /// When `/proc` does not show the process's mount namespace.
    pub fn of(id: &str, view: &Path, pid: Option<Pid>) -> io::Result<PendingNote> {
        let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
        let namespace = inode_of(&process).ok_or(io::ErrorKind::NotFound)?;
        Ok(PendingNote {
            id: id.to_owned(),
            mount_namespace: namespace,
            view: view.to_owned(),
        })
    }

    /// Writes the note: among those of root if this process may, else among those of users.
    ///
    /// # Errors
    /// When the kernel refuses, or the directory of the users' notes is not there: the first daemon
    /// makes it.
    pub fn leave(&self) -> io::Result<()> {
        let as_root = make_private().and_then(|()| self.leave_in(Path::new(PENDING_NOTES)));
        as_root.or_else(|_| self.leave_in(Path::new(USERS_PENDING_NOTES)))
    }

    fn leave_in(&self, directory: &Path) -> io::Result<()> {
        let path = directory.join(self.mount_namespace.to_string());
        // Daemons remove every file that is no note: the note gets its name when it is whole.
        let mut file = OpenOptions::new()
            .write(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_TMPFILE)
            .open(directory)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        // The kernel reuses inode numbers of namespaces, so an existing note is stale.
        let _ = fs::remove_file(&path);
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        Ok(linkat(
            AT_FDCWD,
            Path::new(&unnamed),
            AT_FDCWD,
            &path,
            follow,
        )?)
    }
}

/// Makes the directories of the notes. Only root may make them.
///
/// # Errors
/// When the kernel refuses.
pub fn create_directories() -> io::Result<()> {
    make_private()?;
    // Every user could write here before there were two directories.
    fs::set_permissions(PENDING_NOTES, Permissions::from_mode(0o700))?;
    make(Path::new(USERS_PENDING_NOTES), 0o700)?;
    users_directory::mount()
}

/// Makes the directory of the notes of root.
fn make_private() -> io::Result<()> {
    let path = Path::new(PENDING_NOTES);
    if let Some(above) = path.parent() {
        make(above, 0o755)?;
    }
    make(path, 0o700)
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    match mkdir(path, Mode::from_bits_truncate(0o700)) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads and removes the notes of the containers that wait for the view at `view`, and returns the
/// containers that run, each once. Also removes everything that is no note, and the notes of mount
/// namespaces that have no process.
#[must_use]
pub fn claim_pending(view: &Path) -> Vec<PendingContainer> {
    let entries: Vec<DirEntry> = entries().collect();
    if entries.is_empty() {
        return Vec::new();
    }
    let occupied = occupied_namespaces();
    let own = inode_of("self");
    let mut found = BTreeMap::new();
    for entry in entries {
        let note = read(&entry.path()).and_then(|(note, user)| {
            let pid = occupied.get(&note.mount_namespace)?;
            Some((note, user, *pid))
        });
        if note.as_ref().is_some_and(|(note, ..)| note.view != view) {
            continue;
        }
        remove(&entry);
        let Some((note, user, pid)) = note else {
            continue;
        };
        if Some(note.mount_namespace) != own && may_act_for(user, pid) {
            let container = PendingContainer {
                id: note.id,
                pid,
                is_roots: user == 0,
            };
            found.entry(note.mount_namespace).or_insert(container);
        }
    }
    let mut found: Vec<PendingContainer> = found.into_values().collect();
    found.sort_by_key(|container| !container.is_roots);
    found
}

/// Returns a process of each mount namespace, by the inode number of the namespace.
fn occupied_namespaces() -> BTreeMap<u64, Pid> {
    let mut found = BTreeMap::new();
    for pid in processes().into_iter().flatten().flatten() {
        if let Some(namespace) = inode_of(&pid.to_string()) {
            found.entry(namespace).or_insert(pid);
        }
    }
    found
}

fn entries() -> impl Iterator<Item = DirEntry> {
    let directories = DIRECTORIES.into_iter().map(fs::read_dir);
    directories.flatten().flatten().flatten()
}

/// Removes a file, or a directory with everything in it.
fn remove(entry: &DirEntry) {
    let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
    let _ = match is_directory {
        true => fs::remove_dir_all(entry.path()),
        false => fs::remove_file(entry.path()),
    };
}

/// Returns true if there may be notes to read.
#[must_use]
pub fn is_any() -> bool {
    entries().next().is_some()
}

/// Returns the times at which a note was last written or removed in each directory; `None` for a
/// directory that is not there.
#[must_use]
pub fn last_changes() -> [Option<SystemTime>; 2] {
    DIRECTORIES.map(|directory| fs::metadata(directory).ok()?.modified().ok())
}

/// Returns true if a user is root, or is mapped into the process's user namespace, or owns that
/// namespace.
fn may_act_for(user: u32, pid: Pid) -> bool {
    if user == 0 {
        return true;
    }
    let owner = File::open(format!("/proc/{pid}/ns/user")).and_then(owner_of);
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map"));
    owner.is_ok_and(|owner| owner == user) || is_mapped(&map.unwrap_or_default(), user)
}

/// Returns true if `uid_map`, other than that of the host, maps `user`, a user id of the host.
fn is_mapped(map: &str, user: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (Some(Ok(_)), Some(Ok(first)), Some(Ok(length))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        length != u32::MAX && user.checked_sub(first).is_some_and(|at| at < length)
    })
}

fn read(path: &Path) -> Option<(PendingNote, u32)> {
    // Any user may have put any file there; the opening of a pipe would wait for ever.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC;
    let file: File = (OpenOptions::new().read(true))
        .custom_flags(flags)
        .open(path)
        .ok()?;
    let metadata = file.metadata().ok()?;
    let mut text = Vec::new();
    file.take(MAX_NOTE).read_to_end(&mut text).ok()?;
    Some((serde_json::from_slice(&text).ok()?, metadata.uid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_replaces_a_stale_one_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let note = |id: &str| PendingNote {
            id: id.to_owned(),
            mount_namespace: 7,
            view: PathBuf::from("/view"),
        };
        for id in ["stale", "new"] {
            note(id).leave_in(directory.path()).unwrap();
            let (read, _) = read(&directory.path().join("7")).unwrap();
            assert_eq!(read, note(id));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_whoever_is_in_a_user_namespace_speaks_for_what_is_in_it() {
        let container = "         0     100000      65536\n";
        assert!(is_mapped(container, 100_000) && is_mapped(container, 165_535));
        assert!(!is_mapped(container, 1000) && !is_mapped(container, 165_536));
        let host = "         0          0 4294967295\n";
        assert!(!is_mapped(host, 1000) && !is_mapped("", 1000));
    }
}
