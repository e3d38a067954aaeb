//! Notes of the containers that got their files only by `attach`, and lose the files when an engine
//! without Plimsoll's hook starts the container again.

use crate::base::paths::ATTACHED_NOTES;
use std::{
    cmp::Reverse,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The maximum age of a note. No engine tells when a container is removed, and `/run` is memory.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The maximum number of notes: 4 KiB of memory each.
const MAX_NOTES: usize = 4096;

/// The note of a container that was attached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct AttachedNote {
    /// The name of the engine.
    pub engine: String,
    /// The id of the container, which no other container of the engine has.
    pub id: String,
}

impl AttachedNote {
    /// Writes the note, or writes it again.
    ///
    /// # Errors
    /// When the kernel refuses, or the id is longer than a file's name can be.
    pub fn leave(&self) -> io::Result<()> {
        let path = self.path();
        let mut directory = DirBuilder::new();
        directory
            .recursive(true)
            .mode(0o700)
            .create(ATTACHED_NOTES)?;
        fs::write(path, serde_json::to_vec(self)?)
    }

    /// Removes the note, if there is one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self) -> PathBuf {
        // A container without an engine has the path of its cgroup for an id.
        let id = self.id.replace('%', "%25").replace('/', "%2F");
        Path::new(ATTACHED_NOTES).join(format!("{}-{id}", self.engine))
    }
}

/// Reads every note there is.
#[must_use]
pub fn all() -> Vec<AttachedNote> {
    let notes = fs::read_dir(ATTACHED_NOTES).into_iter().flatten().flatten();
    let notes =
        notes.filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok());
    notes.collect()
}

/// Removes the notes that are older than 30 days, and all but the newest 4096. Without its note a container
/// that has lost its files is not named by `doctor`.
pub fn prune() {
    prune_in(Path::new(ATTACHED_NOTES), SystemTime::now(), MAX_NOTES);
}

fn prune_in(directory: &Path, now: SystemTime, max_notes: usize) {
    let notes = fs::read_dir(directory).into_iter().flatten().flatten();
    let with_time = notes.filter_map(|note| Some((note.metadata().ok()?.modified().ok()?, note)));
    let mut notes: Vec<_> = with_time.collect();
    notes.sort_by_key(|(written, _)| Reverse(*written));
    for (place, (written, note)) in notes.into_iter().enumerate() {
        let age = now.duration_since(written).unwrap_or_default();
        if place >= max_notes || age > MAX_AGE {
            let _ = fs::remove_file(note.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_notes_go_and_of_many_notes_the_oldest() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for days in [1, 2, 3, 31] {
            let note = fs::File::create(directory.path().join(days.to_string())).unwrap();
            let age = Duration::from_secs(days * 24 * 3600);
            note.set_modified(now - age).unwrap();
        }
        let left = |max_notes| {
            prune_in(directory.path(), now, max_notes);
            let names = fs::read_dir(directory.path()).unwrap().flatten();
            let mut names: Vec<_> = names.map(|note| note.file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(left(4), ["1", "2", "3"]);
        assert_eq!(left(2), ["1", "2"]);
    }
}
