//! What a container's root leaves on disk, written down so that the next start can finish what
//! a killed one could not: take it back, or keep it.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::run::error::{RunError, at};

/// The file in a container's place that holds them.
const FILE: &str = "traces";

/// What a container's root leaves on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Traces {
    /// Overlays, each with where it lies below the root and its place for changes.
    pub(crate) overlays: Vec<(PathBuf, PathBuf)>,
    /// What was made to mount upon, below the root, outer directories first.
    pub(crate) made: Vec<PathBuf>,
    /// The directory that is written to directly, if the root is one.
    pub(crate) directory: Option<PathBuf>,
}

impl Traces {
    /// Writes them down in the place of their container.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub(crate) fn write(&self, live: &Path) -> Result<(), RunError> {
        let path = live.join(FILE);
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        text.and_then(|text| fs::write(&path, text))
            .map_err(at("write", path))
    }

    /// What was written down in that place; nothing where the start did not come so far.
    pub(crate) fn read(live: &Path) -> Traces {
        let text = fs::read(live.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Brings what the container changed into the first overlay's tree, without what was made to
    /// mount upon; to be called when nothing of it is mounted any more.
    ///
    /// # Errors
    ///
    /// When the disk refuses; then it can be called again.
    pub(crate) fn gather(&self) -> Result<(), RunError> {
        let Some((_, main)) = self.overlays.first() else {
            return Ok(());
        };
        for made in self.made.iter().rev() {
            let owner = self
                .overlays
                .iter()
                .rev()
                .find_map(|(below, upper)| Some((upper, made.strip_prefix(below).ok()?)));
            if let Some((upper, rest)) = owner {
                unmade(&upper.join(rest));
            }
        }
        for (below, upper) in self.overlays.iter().skip(1) {
            let entries: Vec<_> = fs::read_dir(upper)
                .map_err(at("read", upper))?
                .flatten()
                .collect();
            if !entries.is_empty() {
                like_the_hosts(main, below)?;
            }
            for entry in entries {
                let to = main.join(below).join(entry.file_name());
                fs::rename(entry.path(), &to).map_err(at("keep", to))?;
            }
        }
        Ok(())
    }

    /// Takes back out of a root that is written to directly what was made to mount upon, which
    /// the kernel refuses as long as something is mounted there.
    pub(crate) fn clear(&self) {
        if let Some(directory) = &self.directory {
            for made in self.made.iter().rev() {
                unmade(&directory.join(made));
            }
        }
    }
}

/// Makes the directories down to `below` in a tree of changes, each with the owner and the mode
/// that the host's has: an overlay shows its uppermost layer's.
fn like_the_hosts(main: &Path, below: &Path) -> Result<(), RunError> {
    let mut path = PathBuf::new();
    for part in below.components() {
        path.push(part);
        let target = main.join(&path);
        match fs::create_dir(&target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.map_err(at("make", &target))?,
        }
        let host = Path::new("/").join(&path);
        let meta = fs::metadata(&host).map_err(at("read", &host))?;
        chown(&target, Some(meta.uid()), Some(meta.gid()))
            .and_then(|()| fs::set_permissions(&target, meta.permissions()))
            .map_err(at("prepare", &target))?;
    }
    Ok(())
}

/// Removes a directory or file that is as empty as it was made.
fn unmade(path: &Path) {
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
    #[ignore = "needs root"]
    fn what_was_changed_on_another_disk_is_kept_with_the_modes_of_its_directories() {
        let place = tempfile::tempdir().unwrap();
        let (main, other) = (place.path().join("upper"), place.path().join("upper.0"));
        fs::create_dir_all(main.join("etc")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("changed"), "x").unwrap();
        fs::write(main.join("etc/hosts"), "").unwrap();
        let traces = Traces {
            overlays: vec![
                (PathBuf::new(), main.clone()),
                (PathBuf::from("var/tmp"), other),
            ],
            made: vec![PathBuf::from("etc"), PathBuf::from("etc/hosts")],
            directory: None,
        };
        traces.write(place.path()).unwrap();
        Traces::read(place.path()).gather().unwrap();
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
        let traces = Traces {
            made: vec![PathBuf::from("etc/hosts"), PathBuf::from("etc/passwd")],
            directory: Some(root.path().to_owned()),
            ..Traces::default()
        };
        traces.clear();
        let left: Vec<_> = fs::read_dir(root.path().join("etc")).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
