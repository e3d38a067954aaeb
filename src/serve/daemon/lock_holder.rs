//! The users who hold a lock that every user may open.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Returns whether a process of root holds the lock (flock(2)) of an open file, by another open file. A
/// search that fails counts as yes.
pub(super) fn is_held_by_root(file: &File) -> bool {
    let Ok(metadata) = file.metadata() else {
        return true;
    };
    let name = locked_name(metadata.dev(), metadata.ino());
    let Ok(processes) = fs::read_dir("/proc") else {
        return true;
    };
    let mut processes = processes.flatten().map(|entry| entry.path());
    processes.any(|process| is_of_root(&process) && has_locked(&process, &name))
}

/// Returns the name of a file in a line `lock:` of `/proc/PID/fdinfo/FD` (`lock_get_status` in
/// `fs/locks.c`).
fn locked_name(device: u64, inode: u64) -> String {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    format!("{major:02x}:{minor:02x}:{inode}")
}

/// Returns whether the process runs as root and was started by root. The owner of the directory would
/// not tell: it is root for any process that cannot be dumped.
fn is_of_root(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| users.split_whitespace().all(|user| user == "0"))
}

/// Returns whether an open file of the process holds the lock of the file with that name.
fn has_locked(process: &Path, name: &str) -> bool {
    let files = fs::read_dir(process.join("fdinfo"));
    let mut files = files.into_iter().flatten().flatten();
    files.any(|file| {
        let info = fs::read_to_string(file.path()).unwrap_or_default();
        is_locked(&info, name)
    })
}

/// Returns whether the text of `/proc/PID/fdinfo/FD` tells of the lock of the file with that name.
fn is_locked(info: &str, name: &str) -> bool {
    let mut locks = info.lines().filter(|line| line.starts_with("lock:"));
    locks.any(|lock| {
        let words: Vec<&str> = lock.split_whitespace().collect();
        words.contains(&"FLOCK") && words.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{Flock, FlockArg};

    #[test]
    fn the_lock_of_a_file_is_found_at_the_open_file_that_has_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reopened = || File::open(file.path()).unwrap();
        let metadata = reopened().metadata().unwrap();
        let name = locked_name(metadata.dev(), metadata.ino());
        let own = Path::new("/proc/self");
        let _other = reopened();
        assert!(!has_locked(own, &name));
        let lock = Flock::lock(reopened(), FlockArg::LockExclusiveNonblock);
        assert!(lock.is_ok() && has_locked(own, &name));
    }
}
