//! Files below the root directory of the examined machine.

use std::{fs, path::Path};

/// Returns the text of a file below `root`, without white space around it; `None` if the file cannot
/// be read.
pub(super) fn text(root: &Path, path: &str) -> Option<String> {
    let text = fs::read_to_string(root.join(path)).ok()?;
    Some(text.trim().to_owned())
}

/// Returns whether anything lies at that path below `root`, be it a broken link.
pub(super) fn exists(root: &Path, path: &str) -> bool {
    root.join(path).symlink_metadata().is_ok()
}
