//! The record of a file's content before `install` first changed it, kept for `uninstall`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    InstallError,
    change::{FileKind, below, writable},
};
use crate::base::{paths::INSTALL_RECORDS, sys};

/// The record of one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct FileRecord {
    /// The path on the machine.
    pub(super) path: PathBuf,
    /// The kind of the file.
    pub(super) kind: FileKind,
    /// The names of the engines that need the change.
    pub(super) engines: Vec<String>,
    /// The content before the first change; `None` if the file was not there.
    pub(super) before: Option<String>,
    /// The content after the last change.
    pub(super) after: String,
    /// The directories that were made above the file, the innermost first.
    #[serde(default)]
    pub(super) made: Vec<PathBuf>,
}

/// Returns the path of the record of a file.
fn file(path: &Path) -> PathBuf {
    // The escaping of systemd-escape(1), so that no two paths share a record.
    let name = path.to_string_lossy();
    let name = name.trim_start_matches('/').replace('-', "\\x2d");
    Path::new(INSTALL_RECORDS).join(format!("{}.json", name.replace('/', "-")))
}

/// Checks that the record of that file can be written below that root.
///
/// # Errors
/// [`InstallError::Write`].
pub(super) fn check_writable(root: &Path, path: &Path) -> Result<(), InstallError> {
    let file = file(path);
    let directory = file.parent().unwrap_or(root);
    writable(root, directory).map_err(|error| InstallError::Write {
        source: error.into(),
        path: file,
    })
}

impl FileRecord {
    /// Adds an engine that needs the change.
    pub(super) fn add_engine(&mut self, name: &str) {
        if !self.engines.iter().any(|known| known == name) {
            self.engines.push(name.to_owned());
        }
    }

    /// Reads the record of that file below that root; `None` if the file has none.
    ///
    /// # Errors
    /// [`InstallError::Read`].
    pub(super) fn read(root: &Path, path: &Path) -> Result<Option<FileRecord>, InstallError> {
        let file = file(path);
        let refused = |source| InstallError::Read {
            path: file.clone(),
            source,
        };
        match fs::read(below(root, &file)) {
            Ok(text) => {
                let record = serde_json::from_slice(&text);
                record.map(Some).map_err(|error| refused(error.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// Writes the record below that root.
    ///
    /// # Errors
    /// [`InstallError::Write`].
    pub(super) fn write(&self, root: &Path) -> Result<(), InstallError> {
        let file = file(&self.path);
        let at = below(root, &file);
        let refused = |source| InstallError::Write { path: file, source };
        let text = match serde_json::to_vec_pretty(self) {
            Ok(text) => text,
            Err(error) => return Err(refused(error.into())),
        };
        let directory = at.parent().unwrap_or(root);
        fs::create_dir_all(directory)
            .and_then(|()| sys::write_atomic(&at, &text))
            .map_err(refused)
    }

    /// Removes the record, and the directory of the records if no other is left.
    ///
    /// # Errors
    /// [`InstallError::Write`].
    pub(super) fn remove(&self, root: &Path) -> Result<(), InstallError> {
        let file = file(&self.path);
        let at = below(root, &file);
        match fs::remove_file(&at) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(InstallError::Write { path: file, source });
            }
            _ => {}
        }
        for directory in at.ancestors().skip(1).take(2) {
            let _ = fs::remove_dir(directory);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_kept_and_leaves_nothing_when_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let record = FileRecord {
            path: "/etc/a-b/c".into(),
            kind: FileKind::Text,
            engines: vec!["docker".into()],
            before: None,
            after: "x\n".into(),
            made: vec!["/etc/a-b".into()],
        };
        fs::create_dir_all(root.path().join("var/lib")).unwrap();
        record.write(root.path()).unwrap();
        let read = |path: &str| FileRecord::read(root.path(), Path::new(path)).unwrap();
        assert_eq!(read("/etc/a-b/c"), Some(record.clone()));
        assert_eq!(read("/etc/a/b/c"), None);
        record.remove(root.path()).unwrap();
        let left = fs::read_dir(root.path().join("var/lib")).unwrap().count();
        assert_eq!(left, 0);
    }
}
