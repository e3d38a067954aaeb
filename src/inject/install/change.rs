//! The change of one file: its content before and after, its patch, and its writing.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    unistd::{AccessFlags, access},
};
use similar::TextDiff;

use super::InstallError;
use crate::base::sys;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum FileKind {
    /// A regular file, described by its text.
    Text,
    /// A symbolic link, described by its target.
    Link,
}

/// The change of one file: of a text, or of a link's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path on the machine.
    pub path: PathBuf,
    pub(super) kind: FileKind,
    /// The content before the change; `None` if the file is not there.
    pub before: Option<String>,
    /// The content after the change; `None` if the file is to be removed.
    pub after: Option<String>,
}

impl Change {
    /// Returns whether the change alters anything.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.before != self.after
    }

    /// Returns the change as git-diff(1) prints it, for git-apply(1) in the root directory; empty if
    /// nothing alters.
    #[must_use]
    pub fn diff(&self) -> String {
        if !self.is_needed() {
            return String::new();
        }
        let name = |side: char, text: &Option<String>| match text {
            Some(_) => format!("{side}{}", self.path.display()),
            None => "/dev/null".to_owned(),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mode = match self.kind {
            FileKind::Text => "",
            FileKind::Link if self.after.is_some() => "new file mode 120000\n",
            FileKind::Link => "deleted file mode 120000\n",
        };
        let (before, after) = (text(&self.before), text(&self.after));
        let lines = TextDiff::from_lines(&before, &after);
        let header = (name('a', &self.before), name('b', &self.after));
        let lines = lines
            .unified_diff()
            .header(&header.0, &header.1)
            .to_string();
        format!("{mode}{lines}")
    }

    /// Returns the missing parent directories of the file, innermost first; `root` is the machine's
    /// root.
    pub(super) fn missing(&self, root: &Path) -> Vec<PathBuf> {
        let above = self.path.ancestors().skip(1);
        above
            .take_while(|directory| !below(root, directory).exists())
            .map(Path::to_owned)
            .collect()
    }

    /// Writes or removes the file, and makes its parent directories; `root` is the machine's root.
    ///
    /// # Errors
    /// [`InstallError::Write`].
    pub(super) fn apply(&self, root: &Path) -> Result<(), InstallError> {
        let at = below(root, &self.path);
        let applied = match (&self.after, self.kind) {
            _ if !self.is_needed() => Ok(()),
            (None, _) => fs::remove_file(&at),
            (Some(after), kind) => {
                let directory = at.parent().unwrap_or(root);
                fs::create_dir_all(directory).and_then(|()| match kind {
                    FileKind::Text => sys::write_atomic(&at, after.as_bytes()),
                    FileKind::Link => link(after, &at),
                })
            }
        };
        applied.map_err(|source| InstallError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

/// Makes a symbolic link, or replaces the link that is there: an engine may execute it at any moment.
fn link(target: &str, at: &Path) -> io::Result<()> {
    if at.symlink_metadata().is_err() {
        return symlink(target, at);
    }
    let mut name = at.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = at.with_file_name(name);
    let _ = fs::remove_file(&new);
    symlink(target, &new)?;
    fs::rename(&new, at)
}

/// Returns the path of the machine's file `path` below another root.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Returns whether files can be made in the directory, which is made first if it is not there.
pub(super) fn can_write(root: &Path, directory: &Path) -> bool {
    writable(root, directory).is_ok()
}

/// Checks that files can be made in the directory, which is made first if it is not there.
///
/// # Errors
/// EROFS on a read-only file system; the other errors of `access(2)`.
pub(super) fn writable(root: &Path, directory: &Path) -> nix::Result<()> {
    let mut all = directory.ancestors().map(|path| below(root, path));
    let there = all.find(|path| path.exists()).ok_or(Errno::ENOENT)?;
    access(&there, AccessFlags::W_OK)
}

/// Reads the content of a file of that kind below that root; `None` if the file is not there.
///
/// # Errors
/// [`InstallError::Read`].
pub(super) fn read(
    root: &Path,
    path: &Path,
    kind: FileKind,
) -> Result<Option<String>, InstallError> {
    let at = below(root, path);
    let read = match kind {
        FileKind::Text => fs::read_to_string(&at),
        FileKind::Link => fs::read_link(&at).map(|target| target.to_string_lossy().into_owned()),
    };
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(InstallError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_as_a_patch() {
        let change = Change {
            path: "/etc/a".into(),
            kind: FileKind::Text,
            before: None,
            after: Some("x\n".into()),
        };
        let expected = "--- /dev/null\n+++ b/etc/a\n@@ -0,0 +1 @@\n+x\n";
        assert_eq!(change.diff(), expected);
        let change = Change {
            before: Some("x\ny\n".into()),
            after: Some("x\n".into()),
            ..change
        };
        let expected = "--- a/etc/a\n+++ b/etc/a\n@@ -1,2 +1 @@\n x\n-y\n";
        assert_eq!(change.diff(), expected);
    }

    #[test]
    fn a_file_is_made_with_its_directories() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let change = Change {
            path: "/etc/a/b/c".into(),
            kind: FileKind::Text,
            before: None,
            after: Some("x\n".into()),
        };
        let missing = change.missing(root.path());
        assert_eq!(missing, ["/etc/a/b", "/etc/a"].map(PathBuf::from));
        change.apply(root.path()).unwrap();
        assert_eq!(change.missing(root.path()), Vec::<PathBuf>::new());
        let held = read(root.path(), &change.path, FileKind::Text).unwrap();
        assert_eq!(held.as_deref(), Some("x\n"));
    }
}
