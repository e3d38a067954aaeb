//! Reads the mounts of a mount namespace.

use super::{Mount, parse, parse_kind, visible::visible_of};
use crate::base::units::Pid;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::{Duration, Instant},
};

/// The bytes that a read with a deadline asks for at first and at most, and the time of a call after
/// which the next one asks for no more.
const FIRST_PIECE: u64 = 1 << 10;
const MAX_PIECE: u64 = 32 << 10;
const FAST: Duration = Duration::from_micros(200);

/// The mounts of this process.
const OWN: &str = "/proc/self/mountinfo";

/// Reads the mounts of this process.
///
/// # Errors
/// The errors of `open(2)` and `read(2)` on `/proc/self/mountinfo`.
pub fn own() -> io::Result<Vec<Mount>> {
    at(Path::new(OWN))
}

/// Reads the mounts of the process `pid`.
///
/// # Errors
/// ENOENT when the process has ended, EACCES for a process of another user.
pub fn of(pid: Pid) -> io::Result<Vec<Mount>> {
    at(Path::new(&format!("/proc/{pid}/mountinfo")))
}

/// Reads the mounts of the file system type `kind` of the process `pid`; `None` if the process has no
/// mounts at all, as one that is about to end. A mount of another type costs no copy.
///
/// The kernel goes through every mount at a mount point for each line of it (`prepend_path` in
/// `fs/d_path.c`), so a user who stacks mounts makes a read take seconds.
///
/// # Errors
/// As for [`of`], and `TimedOut` when the read takes longer than `limit`.
pub fn of_kind_within(pid: Pid, kind: &str, limit: Duration) -> io::Result<Option<Vec<Mount>>> {
    let path = format!("/proc/{pid}/mountinfo");
    let text = text_within(Path::new(&path), Instant::now() + limit)?;
    Ok((!text.is_empty()).then(|| parse_kind(&text, kind).collect()))
}

/// Reads the mounts of the file system type `kind` of this process. A mount of another type costs no
/// copy.
///
/// # Errors
/// The errors of `open(2)` and `read(2)` on `/proc/self/mountinfo`.
pub fn own_of_kind(kind: &str) -> io::Result<Vec<Mount>> {
    Ok(parse_kind(&text(Path::new(OWN))?, kind).collect())
}

/// Reads the mounts from a file in the format of `/proc/PID/mountinfo`.
///
/// # Errors
/// The errors of `open(2)` and `read(2)`.
pub fn at(path: &Path) -> io::Result<Vec<Mount>> {
    Ok(parse(&text(path)?).collect())
}

/// Reads the mounts of the file system types `kinds` that a path can reach, from a file in the format
/// of `/proc/PID/mountinfo`.
///
/// # Errors
/// The errors of `open(2)` and `read(2)`.
pub fn visible_at(path: &Path, kinds: &[&str]) -> io::Result<Vec<Mount>> {
    Ok(visible_of(&text(path)?, kinds))
}

fn text_within(path: &Path, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut text = Vec::new();
    // One call of read(2) cannot be ended: the first ones ask for few lines.
    let mut piece = FIRST_PIECE;
    loop {
        let begun = Instant::now();
        if begun > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let length = (&mut file).take(piece).read_to_end(&mut text)?;
        if length == 0 {
            return Ok(text);
        }
        if begun.elapsed() < FAST {
            piece = (piece * 2).min(MAX_PIECE);
        }
    }
}

fn text(path: &Path) -> io::Result<Vec<u8>> {
    // The kernel reports size 0 for such a file; without this capacity it is read in small pieces.
    let mut text = Vec::with_capacity(32 << 10);
    File::open(path)?.read_to_end(&mut text)?;
    Ok(text)
}
