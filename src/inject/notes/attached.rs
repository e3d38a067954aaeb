//! What `attach` leaves: notes of the containers that have their files by it alone, and lose them when
//! an engine without our hook starts them again.

use crate::base::paths::ATTACHED_NOTES;
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A container that was attached.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AttachedNote {
    /// The engine's name.
    pub engine: String,
    /// Its name, as no other container of the engine has it.
    pub id: String,
}

impl AttachedNote {
    /// Leaves it, or leaves it again.
    ///
    /// # Errors
    /// When the kernel refuses, or the name cannot be one of a file.
    pub fn leave(&self) -> io::Result<()> {
        let path = self.path()?;
        let mut directory = DirBuilder::new();
        directory
            .recursive(true)
            .mode(0o755)
            .create(ATTACHED_NOTES)?;
        fs::write(path, serde_json::to_vec(self)?)
    }

    /// Takes it back, if there is one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take_back(&self) -> io::Result<()> {
        match self.path().and_then(fs::remove_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self) -> io::Result<PathBuf> {
        let name = format!("{}-{}", self.engine, self.id);
        match name.contains('/') {
            true => Err(io::Error::from(io::ErrorKind::InvalidFilename)),
            false => Ok(Path::new(ATTACHED_NOTES).join(name)),
        }
    }
}

/// Every note that was left and not taken back.
#[must_use]
pub fn all() -> Vec<AttachedNote> {
    let notes = fs::read_dir(ATTACHED_NOTES).into_iter().flatten().flatten();
    let notes =
        notes.filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok());
    notes.collect()
}
