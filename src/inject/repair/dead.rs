//! Tells mounts of dead daemons from those that a daemon still serves.

use super::each::is_within;
use crate::{
    base::{mountinfo::Mount, sys},
    inject::namespace::MountNamespace,
};
use nix::{errno::Errno, sys::statfs::fstatfs};
use parking_lot::Mutex;
use std::{collections::BTreeMap, os::fd::OwnedFd, time::Duration};

/// The time after which a daemon that has not answered counts as one that hangs, and not as dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The file systems that were asked, by device number, and whether their daemons are dead.
#[derive(Debug, Default)]
pub(super) struct DeadDevices(Mutex<BTreeMap<String, bool>>);

impl DeadDevices {
    /// Returns whether the daemon of `mount` is dead. A mount that no path reaches is not dead: no
    /// process can read its file. A mount on a dead one is dead too.
    ///
    /// `among` are Plimsoll's mounts in the namespace.
    pub(super) fn has(&self, namespace: &MountNamespace, mount: &Mount, among: &[Mount]) -> bool {
        let mut outer = among.iter().filter(|outer| is_within(mount, outer));
        outer.any(|outer| self.is_dead(namespace, outer)) || self.is_dead(namespace, mount)
    }

    fn is_dead(&self, namespace: &MountNamespace, mount: &Mount) -> bool {
        if let Some(is_dead) = self.0.lock().get(&mount.device) {
            return *is_dead;
        }
        let Ok(target) = namespace.root.top_of(mount) else {
            return false;
        };
        let is_dead = nobody_answers(target.file);
        self.0.lock().insert(mount.device.clone(), is_dead);
        is_dead
    }
}

/// Asks the file system of an open file. Returns true if the kernel reports that no daemon answers,
/// or that the connection has ended during the question.
fn nobody_answers(file: OwnedFd) -> bool {
    let answer = sys::with_timeout(ANSWER_TIMEOUT, move || fstatfs(&file).err());
    matches!(answer, Some(Some(Errno::ENOTCONN | Errno::ECONNABORTED)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_system_that_answers_is_not_dead() {
        assert!(!nobody_answers(File::open("/proc").unwrap().into()));
    }
}
