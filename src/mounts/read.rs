//! Reads the mounts of a process.

use super::{Mount, parse};
use std::{fs, io, path::Path};

/// The mounts of this process.
///
/// # Errors
/// When `/proc` does not tell.
pub fn own() -> io::Result<Vec<Mount>> {
    at(Path::new("/proc/self/mountinfo"))
}

/// The mounts of the process with that pid.
///
/// # Errors
/// When it has ended, or is none of this user's.
pub fn of(pid: u32) -> io::Result<Vec<Mount>> {
    at(Path::new(&format!("/proc/{pid}/mountinfo")))
}

/// The mounts that a file of the shape of `/proc/PID/mountinfo` tells.
///
/// # Errors
/// When it cannot be read.
pub fn at(path: &Path) -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read(path)?).collect())
}
