//! Notes of the containers that got their files only by `attach`, and lose the files when an engine
//! without Plimsoll's hook starts the container again.

use crate::base::paths::ATTACHED_NOTES;
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

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
