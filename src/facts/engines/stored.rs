//! Reads the files in which engines keep their settings and containers.

use crate::base::sys;
use std::{
    fs::OpenOptions,
    io::{self, BufReader, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The bytes that are read of a file of an engine; a longer one is not understood.
pub(super) const MAX_FILE: u64 = 64 << 20;

/// Returns the text of a file; an empty one if the file cannot be read. Bytes that are no UTF-8 are
/// replaced.
pub(super) fn text(path: &Path) -> String {
    let mut content = Vec::new();
    match open(path).and_then(|mut file| file.read_to_end(&mut content)) {
        Ok(_) => sys::text(content),
        Err(_) => String::new(),
    }
}

/// Opens a regular file to be read once. Users may own the file, and make it a pipe: the opening
/// does not wait, and a file of another kind is refused.
pub(super) fn open(path: &Path) -> io::Result<impl Read + use<>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(BufReader::new(file.take(MAX_FILE))),
        false => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}
