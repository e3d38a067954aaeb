//! Reads the mounts of a process.

use super::{Mount, parse};
use crate::base::units::Pid;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

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
pub fn of(pid: Pid) -> io::Result<Vec<Mount>> {
    at(Path::new(&format!("/proc/{pid}/mountinfo")))
}

/// The mounts that a file of the shape of `/proc/PID/mountinfo` tells.
///
/// # Errors
/// When it cannot be read.
pub fn at(path: &Path) -> io::Result<Vec<Mount>> {
    // The size of such a file says nothing; whoever guesses it reads it in many small pieces.
    let mut text = Vec::with_capacity(32 << 10);
    File::open(path)?.read_to_end(&mut text)?;
    Ok(parse(&text).collect())
}
