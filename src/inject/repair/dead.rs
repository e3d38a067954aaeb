//! Tells mounts of dead daemons from those that a daemon still serves.

use super::outermost::by_point;
use crate::{
    base::{mountinfo::Mount, sys},
    inject::namespace::MountNamespace,
};
use nix::{errno::Errno, sys::statfs::fstatfs};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

/// The time after which a daemon that has not answered counts as one that hangs, and not as dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum number of answers that one visit to a mount namespace reports: a container may mount any
/// number of file systems.
const MAX_REPORTED: usize = 100;

/// The file systems that were asked, by device number, and whether their daemons are dead.
#[derive(Debug, Default)]
pub(super) struct DeadDevices {
    known: RefCell<BTreeMap<String, bool>>,
    /// The devices that this process asked, in their order.
    asked: RefCell<Vec<String>>,
}

impl DeadDevices {
    /// Returns the first answers that this process got.
    pub(super) fn asked(&self) -> BTreeMap<String, bool> {
        let known = self.known.borrow();
        let asked = self.asked.borrow();
        let asked = asked.iter().take(MAX_REPORTED).cloned();
        asked
            .filter_map(|device| known.get(&device).map(|is_dead| (device.clone(), *is_dead)))
            .collect()
    }

    /// Takes answers that another process got.
    pub(super) fn remember(&self, answers: BTreeMap<String, bool>) {
        self.known.borrow_mut().extend(answers);
    }

    /// Returns the mounts whose daemon is dead, of Plimsoll's mounts in the namespace. A mount that no
    /// path reaches is not dead: no process can read its file. A mount on a dead one is dead too.
    pub(super) fn among<'a>(
        &self,
        namespace: &MountNamespace,
        mounts: &'a [Mount],
    ) -> Vec<&'a Mount> {
        dead_among(mounts, |mount| self.is_dead(namespace, mount))
    }

    fn is_dead(&self, namespace: &MountNamespace, mount: &Mount) -> bool {
        if let Some(is_dead) = self.known.borrow().get(&mount.device) {
            return *is_dead;
        }
        let Ok(target) = namespace.root.top_of(mount) else {
            return false;
        };
        let is_dead = nobody_answers(target.file);
        let mut known = self.known.borrow_mut();
        known.insert(mount.device.clone(), is_dead);
        self.asked.borrow_mut().push(mount.device.clone());
        is_dead
    }
}

/// Returns the mounts that `is_dead` names, and those within such a one, in the order of `mounts`.
/// Calls `is_dead` at most once for each mount, and never for a mount within a dead one.
fn dead_among(mounts: &[Mount], is_dead: impl Fn(&Mount) -> bool) -> Vec<&Mount> {
    let all: Vec<&Mount> = mounts.iter().collect();
    let mut outer: Option<&Path> = None;
    let mut dead = BTreeSet::new();
    for (at, mount) in by_point(&all) {
        let is_within = |outer: &Path| mount.point != outer && mount.point.starts_with(outer);
        if outer.is_some_and(is_within) {
            dead.insert(at);
        } else if is_dead(mount) {
            outer = Some(&mount.point);
            dead.insert(at);
        }
    }
    let dead = dead.into_iter().filter_map(|at| mounts.get(at));
    dead.collect()
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
    use crate::base::mountinfo;
    use std::{cell::Cell, fs::File};

    fn line(id: usize, point: &str) -> String {
        format!("{id} 24 0:26 / {point} ro - fuse.plimsoll plimsoll rw\n")
    }

    #[test]
    fn a_mount_within_a_dead_one_is_dead_and_is_not_asked() {
        let points = ["/v/a/b", "/v", "/v2", "/v", "/w/a", "/w/a/b"];
        let text = (1..).zip(points).map(|(id, point)| line(id, point));
        let mounts: Vec<Mount> = mountinfo::parse(&text.collect::<String>()).collect();
        let found = dead_among(&mounts, |mount| {
            assert_ne!(mount.id, 1);
            [4, 6].contains(&mount.id)
        });
        let found: Vec<u32> = found.iter().map(|mount| mount.id).collect();
        assert_eq!(found, [1, 4, 6]);
    }

    #[test]
    fn each_mount_is_asked_once_however_many_there_are() {
        let text = (0..2000).map(|id| line(id, &format!("/v{}/{id}", "/a".repeat(id % 3))));
        let mounts: Vec<Mount> = mountinfo::parse(&text.collect::<String>()).collect();
        let asked = Cell::new(0);
        let found = dead_among(&mounts, |_| {
            asked.update(|asked| asked + 1);
            false
        });
        assert_eq!((found.len(), asked.get()), (0, 2000));
    }

    #[test]
    fn a_file_system_that_answers_is_not_dead() {
        assert!(!nobody_answers(File::open("/proc").unwrap().into()));
    }
}
