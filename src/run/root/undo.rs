//! The record of what a container's root leaves on disk. After a killed run the next start reads
//! the record, and removes or keeps what the killed run could not.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::run::error::{RunError, at};

/// The name of the record in a container's directory.
const FILE_NAME: &str = "undo";

/// The record of what a container's root leaves on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct UndoRecord {
    /// The overlays, each by its path below the root and its upper directory.
    pub(crate) overlays: Vec<(PathBuf, PathBuf)>,
    /// The mount points that were created in the root, by their paths below the root, parents
    /// first.
    pub(crate) created: Vec<PathBuf>,
    /// The root itself, if it is a directory to which the container writes directly.
    pub(crate) directory: Option<PathBuf>,
}

impl UndoRecord {
    /// Writes the record into the container's directory.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub(crate) fn write(&self, live: &Path) -> Result<(), RunError> {
        let path = live.join(FILE_NAME);
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        text.and_then(|text| fs::write(&path, text))
            .map_err(at("write", path))
    }

    /// Reads the record of a container's directory; returns an empty record if there is none, as
    /// after a start that ended early.
    pub(crate) fn read(live: &Path) -> UndoRecord {
        let text = fs::read(live.join(FILE_NAME)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Moves the changes of every overlay into the upper directory of the first, and removes the
    /// created mount points there. The overlays must not be mounted any more.
    ///
    /// # Errors
    ///
    /// A change that cannot be moved. A second call moves the rest.
    pub(crate) fn merge_changes(&self) -> Result<(), RunError> {
        let Some((_, main)) = self.overlays.first() else {
            return Ok(());
        };
        for path in self.created.iter().rev() {
            let owner = self
                .overlays
                .iter()
                .rev()
                .find_map(|(below, upper)| Some((upper, path.strip_prefix(below).ok()?)));
            if let Some((upper, rest)) = owner {
                remove_if_empty(&upper.join(rest));
            }
        }
        for (below, upper) in self.overlays.iter().skip(1) {
            let entries: Vec<_> = fs::read_dir(upper)
                .map_err(at("read", upper))?
                .flatten()
                .collect();
            if !entries.is_empty() {
                create_like_host(main, below)?;
            }
            for entry in entries {
                let to = main.join(below).join(entry.file_name());
                fs::rename(entry.path(), &to).map_err(at("move changes to", to))?;
            }
        }
        Ok(())
    }

    /// Removes the created mount points from a root that is a directory. The kernel refuses to
    /// remove a mount point in use, so the root must not be mounted any more.
    pub(crate) fn remove_mountpoints(&self) {
        if let Some(directory) = &self.directory {
            for path in self.created.iter().rev() {
                remove_if_empty(&directory.join(path));
            }
        }
    }
}

/// Creates the directories down to `below` in an upper directory, each with the owner and the mode
/// of the host's directory: an overlay shows the owner and the mode of the uppermost layer.
fn create_like_host(main: &Path, below: &Path) -> Result<(), RunError> {
    let mut path = PathBuf::new();
    for part in below.components() {
        path.push(part);
        let target = main.join(&path);
        match fs::create_dir(&target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            result => result.map_err(at("create", &target))?,
        }
        let host = Path::new("/").join(&path);
        let meta = fs::metadata(&host).map_err(at("read", &host))?;
        chown(&target, Some(meta.uid()), Some(meta.gid()))
            .and_then(|()| fs::set_permissions(&target, meta.permissions()))
            .map_err(at("set the owner and the mode of", &target))?;
    }
    Ok(())
}

/// Removes a directory or file that is empty, as it was created. Leaves every other directory or
/// file.
fn remove_if_empty(path: &Path) {
    let Ok(meta) = path.symlink_metadata() else {
        return;
    };
    if meta.is_dir() {
        let _ = fs::remove_dir(path);
    } else if meta.is_file() && meta.len() == 0 {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_that_a_release_has_left_is_understood() {
        let releases = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/fixtures/releases");
        for release in fs::read_dir(releases).unwrap() {
            // A record that is not understood counts as an empty one.
            let undo = UndoRecord::read(&release.unwrap().path());
            assert_eq!(undo.overlays.len(), 1, "{undo:?}");
        }
    }

    #[test]
    #[ignore = "needs root"]
    fn what_was_changed_on_another_disk_is_kept_with_the_modes_of_its_directories() {
        let dir = tempfile::tempdir().unwrap();
        let (main, other) = (dir.path().join("upper"), dir.path().join("upper.0"));
        fs::create_dir_all(main.join("etc")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("changed"), "x").unwrap();
        fs::write(main.join("etc/hosts"), "").unwrap();
        let undo = UndoRecord {
            overlays: vec![
                (PathBuf::new(), main.clone()),
                (PathBuf::from("var/tmp"), other),
            ],
            created: vec![PathBuf::from("etc"), PathBuf::from("etc/hosts")],
            directory: None,
        };
        undo.write(dir.path()).unwrap();
        UndoRecord::read(dir.path()).merge_changes().unwrap();
        assert_eq!(fs::read(main.join("var/tmp/changed")).unwrap(), b"x");
        assert!(!main.join("etc").exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode();
        assert_eq!(mode(&main.join("var/tmp")), mode("/var/tmp".as_ref()));
    }

    #[test]
    fn a_directory_that_was_written_to_gets_rid_of_what_is_ours_and_of_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hosts"), "").unwrap();
        fs::write(root.path().join("etc/passwd"), "x").unwrap();
        let undo = UndoRecord {
            created: vec![PathBuf::from("etc/hosts"), PathBuf::from("etc/passwd")],
            directory: Some(root.path().to_owned()),
            ..UndoRecord::default()
        };
        undo.remove_mountpoints();
        let left: Vec<_> = fs::read_dir(root.path().join("etc")).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
