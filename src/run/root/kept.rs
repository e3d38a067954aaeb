//! The changes that `plimsoll run --keep` has kept: their list and their removal.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{
    base::units::Bytes,
    run::{
        error::{RunError, at},
        root::dirs,
    },
};

/// The prefix of a directory whose removal has begun. No container has such a name.
const REMOVED: &str = ".removed-";

/// The size of a block in `st_blocks`, on every file system.
const BLOCK: u64 = 512;

/// The kept changes of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptChanges {
    /// The name of the container.
    pub name: String,
    /// The directory that holds the changes.
    pub path: PathBuf,
    /// The size of the changes on disk.
    pub size: Bytes,
}

/// Returns the kept changes of every container, by name. Also keeps those of killed runs.
///
/// # Errors
///
/// A directory that cannot be read.
pub fn kept_changes() -> Result<Vec<KeptChanges>, RunError> {
    let found = directories()?.into_iter().map(|(name, path)| KeptChanges {
        size: size(&path),
        name,
        path,
    });
    Ok(found.collect())
}

/// Returns the names of the containers with kept changes, in order, and the directories of the changes.
fn directories() -> Result<Vec<(String, PathBuf)>, RunError> {
    let mut found = Vec::new();
    for parent in existing_parents() {
        let _dirs = dirs::Cleanup::of(parent)?;
        let directory = parent.join("kept");
        let entries = fs::read_dir(&directory).map_err(at("read", &directory))?;
        let entries = entries.flatten();
        let kept = entries.filter(|entry| !is_removed(&entry.file_name()));
        found.extend(kept.map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, entry.path())
        }));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Removes the kept changes of these containers.
///
/// # Errors
///
/// A name without kept changes, before anything is removed, and a directory that cannot be removed.
pub fn remove_kept(names: &[String]) -> Result<(), RunError> {
    let mut all = directories()?;
    for name in names {
        if !all.iter().any(|(kept, _)| kept == name) {
            return Err(RunError::NothingKept(name.clone()));
        }
    }
    all.retain(|(name, _)| names.contains(name));
    remove_directories(&all)
}

/// Removes the kept changes of every container.
///
/// # Errors
///
/// A directory that cannot be removed.
pub fn remove_all_kept() -> Result<(), RunError> {
    remove_directories(&directories()?)
}

fn remove_directories(kept: &[(String, PathBuf)]) -> Result<(), RunError> {
    for (name, path) in kept {
        let _dirs = dirs::Cleanup::of(parent_of(path))?;
        // The name is free at once, and the next removal finds what a killed one has left.
        let removed = path.with_file_name(format!("{REMOVED}{}-{name}", std::process::id()));
        fs::rename(path, removed).map_err(at("remove", path))?;
    }
    for parent in existing_parents() {
        // Without the lock, because no container waits for a large removal then.
        let entries = fs::read_dir(parent.join("kept")).into_iter().flatten();
        for entry in entries.flatten().filter(|it| is_removed(&it.file_name())) {
            let path = entry.path();
            remove_all(&path).map_err(at("remove", path))?;
        }
        drop(dirs::Cleanup::of(parent)?);
    }
    Ok(())
}

/// Returns the parent of all containers' directories, in which `kept/NAME` lies.
fn parent_of(kept: &Path) -> &Path {
    kept.ancestors().nth(2).unwrap_or(kept)
}

fn existing_parents() -> impl Iterator<Item = &'static Path> {
    dirs::parents().filter(|parent| parent.exists())
}

fn is_removed(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(REMOVED)
}

fn remove_all(path: &Path) -> io::Result<()> {
    match dirs::remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Returns the size of a directory on disk. A part that cannot be read counts nothing.
fn size(path: &Path) -> Bytes {
    let mut left = vec![path.to_owned()];
    let mut blocks = 0;
    while let Some(path) = left.pop() {
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        blocks += meta.blocks();
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
    }
    Bytes(blocks * BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_changes_is_what_they_take_on_disk_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let empty = size(dir.path());
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/file"), vec![1; 10_000]).unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("etc/link")).unwrap();
        let full = size(dir.path());
        let more = full.0 - empty.0;
        assert!((10_000..100_000).contains(&more), "{more}");
    }
}
