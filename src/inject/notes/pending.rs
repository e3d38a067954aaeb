//! Notes of the containers that wait for their files, because their hooks found no daemon.
//!
//! Any user may write a note, because a hook may run as an unprivileged user of the host (user
//! namespaces); a reader must not trust the note.

use crate::{
    base::{paths::PENDING_NOTES, sys::owner_of, units::Pid},
    inject::namespace::{inode_of, processes},
};
use nix::{errno::Errno, sys::stat::Mode, unistd::mkdir};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

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

    /// Writes the note.
    ///
    /// # Errors
    /// When the kernel refuses, or the directory is not there and this user may not make it.
    pub fn leave(&self) -> io::Result<()> {
        create_directory()?;
        let path = Path::new(PENDING_NOTES).join(self.mount_namespace.to_string());
        // The kernel reuses inode numbers of namespaces, so an existing note is stale.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&path)?;
        file.write_all(&serde_json::to_vec(self)?)
    }
}

/// Makes the directory of the notes, in which every user may write a note and only root may list
/// them.
///
/// # Errors
/// When the directory is not there and this user may not make it.
pub fn create_directory() -> io::Result<()> {
    let path = Path::new(PENDING_NOTES);
    if let Some(above) = path.parent() {
        make(above, 0o755)?;
    }
    make(path, 0o1733)
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    match mkdir(path, Mode::from_bits_truncate(0o700)) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads and removes the notes of the containers that wait for the view at `view`, and returns the
/// containers that run, each once. Also removes files that are no notes.
#[must_use]
pub fn claim_pending(view: &Path) -> Vec<PendingContainer> {
    let mut notes = Vec::new();
    for entry in fs::read_dir(PENDING_NOTES).into_iter().flatten().flatten() {
        let note = read(&entry.path());
        if let Some((note, _)) = &note
            && note.view != view
        {
            continue;
        }
        let _ = fs::remove_file(entry.path());
        notes.extend(note);
    }
    if notes.is_empty() {
        return Vec::new();
    }
    let own = inode_of("self");
    let mut found = Vec::new();
    for pid in processes().into_iter().flatten().flatten() {
        let Some(namespace) = inode_of(&pid.to_string()) else {
            continue;
        };
        let is_of_namespace = |(note, _): &(PendingNote, u32)| note.mount_namespace == namespace;
        let Some(index) = notes.iter().position(is_of_namespace) else {
            continue;
        };
        let (note, user) = notes.swap_remove(index);
        if Some(namespace) != own && may_act_for(user, pid) {
            found.push(PendingContainer { id: note.id, pid });
        }
    }
    found
}

/// Returns true if there may be notes to read.
#[must_use]
pub fn is_any() -> bool {
    fs::read_dir(PENDING_NOTES).is_ok_and(|mut entries| entries.next().is_some())
}

/// Returns the time at which a note was last written or removed; `None` if there is no directory.
#[must_use]
pub fn last_change() -> Option<SystemTime> {
    fs::metadata(PENDING_NOTES).ok()?.modified().ok()
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
    fn only_whoever_is_in_a_user_namespace_speaks_for_what_is_in_it() {
        let container = "         0     100000      65536\n";
        assert!(is_mapped(container, 100_000) && is_mapped(container, 165_535));
        assert!(!is_mapped(container, 1000) && !is_mapped(container, 165_536));
        let host = "         0          0 4294967295\n";
        assert!(!is_mapped(host, 1000) && !is_mapped("", 1000));
    }
}
