//! Files below the root directory of the examined machine.

use crate::base::sys;
use std::path::Path;

/// Returns the text of a file below `root`, without white space around it; `None` if the file cannot
/// be read. Bytes that are no UTF-8 are replaced.
pub(super) fn text(root: &Path, path: &str) -> Option<String> {
    let text = sys::read_text(&root.join(path)).ok()?;
    Some(text.trim().to_owned())
}

/// Returns whether anything lies at that path below `root`, be it a broken link.
pub(super) fn exists(root: &Path, path: &str) -> bool {
    root.join(path).symlink_metadata().is_ok()
}
