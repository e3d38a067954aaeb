//! The latest callers. A thread that read recently is found by its thread id. For a new thread only
//! the init of its pid namespace is found.
//!
//! Each use of a remembered caller is confirmed by the kernel, through a file of `/proc` that is held
//! open. The file belongs to the task for which it was opened: a read fails with `ESRCH` once that
//! task is gone, even if another task has the number (`proc_single_show` of `fs/proc/base.c`). A task
//! never changes its pid namespace, and a namespace never changes its init, so only the cgroups of
//! the task and of the init must be compared.

use super::Container;
use crate::{
    base::{
        sys::ReadError,
        units::{Pid, Tid},
    },
    facts::{cgroup::Paths, host::Machine},
};
use nix::sys::uio::pread;
use parking_lot::Mutex;
use std::{os::fd::OwnedFd, path::Path, sync::Arc};

/// The maximum number of remembered threads. Each has an open file of the thread, and one of the
/// init.
const MAX_THREADS: usize = 16;
/// The maximum number of remembered pid namespaces. Each has an open file of the init.
const MAX_NAMESPACES: usize = 32;
/// The maximum length of `/proc/TID/cgroup` that is compared, in bytes. A thread with a longer file
/// is identified anew at each read.
const MAX_MEMBERSHIP: usize = 4096;

/// The cgroup membership of a living task, in a file that is held open.
#[derive(Debug)]
pub(super) struct HeldMembership {
    file: OwnedFd,
    text: Vec<u8>,
}

impl HeldMembership {
    /// Opens and reads the membership of the task whose directory below `/proc` is `place`. The task
    /// must not end before the return.
    ///
    /// # Errors
    /// When the file `cgroup` of the task cannot be read.
    pub(super) fn at(place: &str, machine: &Machine) -> Result<HeldMembership, ReadError> {
        let path = format!("{place}/cgroup");
        let (file, text) = machine
            .proc()
            .read_and_hold(Path::new(&path))
            .map_err(ReadError::refused(Path::new(&path)))?;
        Ok(HeldMembership { file, text })
    }

    /// Returns the text of `/proc/TID/cgroup`, in which a path may hold any bytes.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns true while the task lives and is in the same cgroups.
    fn is_unchanged(&self) -> bool {
        let mut buffer = [0; MAX_MEMBERSHIP];
        match pread(&self.file, &mut buffer, 0) {
            Ok(length) if length < MAX_MEMBERSHIP => {
                buffer.get(..length) == Some(self.text.as_slice())
            }
            _ => false,
        }
    }
}

/// A pid namespace, by inode number, with its init.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) inode: u64,
    pub(super) init: Pid,
    /// The membership of a thread of the init.
    pub(super) membership: HeldMembership,
    /// The root of the init's container; `None` if the root lies outside of this process's cgroup
    /// namespace.
    pub(super) root: Option<Paths>,
}

/// A thread that read recently, with its container.
#[derive(Debug)]
struct RecentThread {
    tid: Tid,
    membership: HeldMembership,
    namespace: Arc<Namespace>,
    container: Arc<Container>,
}

/// The threads that read recently, and their pid namespaces. The slot is the number modulo the number
/// of slots; a new entry replaces the old one.
#[derive(Debug)]
pub(super) struct Recent {
    threads: [Mutex<Option<RecentThread>>; MAX_THREADS],
    namespaces: [Mutex<Option<Arc<Namespace>>>; MAX_NAMESPACES],
}

impl Default for Recent {
    fn default() -> Recent {
        Recent {
            threads: std::array::from_fn(|_| Mutex::default()),
            namespaces: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Recent {
    /// Returns the container of the thread `tid`, if the thread read recently, and the thread and its
    /// init live and are in the same cgroups. The caller must check that the container still exists.
    pub(super) fn container(&self, tid: Tid) -> Option<Arc<Container>> {
        let mut slot = slot(&self.threads, tid.0.into())?.lock();
        let thread = slot.as_ref().filter(|thread| thread.tid == tid)?;
        if thread.membership.is_unchanged() && thread.namespace.membership.is_unchanged() {
            return Some(Arc::clone(&thread.container));
        }
        *slot = None;
        None
    }

    /// Remembers the container of the thread.
    pub(super) fn remember(
        &self,
        tid: Tid,
        membership: HeldMembership,
        namespace: Arc<Namespace>,
        container: Arc<Container>,
    ) {
        let thread = RecentThread {
            tid,
            membership,
            namespace,
            container,
        };
        if let Some(slot) = slot(&self.threads, tid.0.into()) {
            // The old files are closed after the lock is free.
            let _before = slot.lock().replace(thread);
        }
    }

    /// Returns the namespace with that inode number, if one of its threads read recently, and its
    /// init lives and is in the same cgroups.
    pub(super) fn namespace(&self, inode: u64) -> Option<Arc<Namespace>> {
        let known = slot(&self.namespaces, inode)?.lock().clone()?;
        (known.inode == inode && known.membership.is_unchanged()).then_some(known)
    }

    /// Remembers a namespace.
    pub(super) fn remember_namespace(&self, namespace: Namespace) -> Arc<Namespace> {
        let namespace = Arc::new(namespace);
        if let Some(slot) = slot(&self.namespaces, namespace.inode) {
            let _before = slot.lock().replace(Arc::clone(&namespace));
        }
        namespace
    }
}

fn slot<T>(slots: &[T], number: u64) -> Option<&T> {
    slots.get(usize::try_from(number).ok()? % slots.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Key;
    use std::{
        os::unix::process::CommandExt,
        process::{Child, Command},
    };

    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("60")
            .arg0("thread")
            .spawn()
            .unwrap()
    }

    fn container() -> Arc<Container> {
        Arc::new(Container {
            key: Key(1),
            paths: Paths::at("/a".as_ref()),
            init: None,
        })
    }

    #[test]
    fn a_thread_is_known_until_it_or_its_init_has_ended() {
        let machine = Machine::at(Path::new("/")).unwrap();
        for is_inits_turn in [false, true] {
            let (mut thread, mut init) = (sleeper(), sleeper());
            let recent = Recent::default();
            let membership =
                |child: &Child| HeldMembership::at(&child.id().to_string(), &machine).unwrap();
            let namespace = recent.remember_namespace(Namespace {
                inode: 7,
                init: Pid(init.id()),
                membership: membership(&init),
                root: None,
            });
            recent.remember(
                Tid(thread.id()),
                membership(&thread),
                namespace,
                container(),
            );
            assert!(recent.container(Tid(thread.id())).is_some());
            assert!(recent.container(Tid(thread.id() + 16)).is_none());
            assert!(recent.namespace(7).is_some() && recent.namespace(7 + 32).is_none());
            let ends = if is_inits_turn {
                &mut init
            } else {
                &mut thread
            };
            ends.kill().unwrap();
            ends.wait().unwrap();
            assert!(recent.container(Tid(thread.id())).is_none());
            assert_eq!(recent.namespace(7).is_none(), is_inits_turn);
            for mut child in [thread, init] {
                let _ = child.kill();
                child.wait().unwrap();
            }
        }
    }

    #[test]
    #[ignore = "needs root"]
    fn a_thread_that_has_moved_to_another_cgroup_is_not_known_any_more() {
        let machine = Machine::at(Path::new("/")).unwrap();
        let mounts = crate::base::mountinfo::own().unwrap();
        let hierarchy = mounts.iter().find(|mount| mount.kind.starts_with("cgroup"));
        let name = format!("plimsoll-test-recent-{}-0", std::process::id());
        let cgroup = hierarchy.unwrap().point.join(name);
        std::fs::create_dir(&cgroup).unwrap();
        let mut thread = sleeper();
        let recent = Recent::default();
        let membership = || HeldMembership::at(&thread.id().to_string(), &machine).unwrap();
        let namespace = recent.remember_namespace(Namespace {
            inode: 7,
            init: Pid(thread.id()),
            membership: membership(),
            root: None,
        });
        recent.remember(Tid(thread.id()), membership(), namespace, container());
        let before = recent.container(Tid(thread.id()));
        std::fs::write(cgroup.join("cgroup.procs"), thread.id().to_string()).unwrap();
        let after = recent.container(Tid(thread.id()));
        thread.kill().unwrap();
        thread.wait().unwrap();
        std::fs::remove_dir(&cgroup).unwrap();
        assert!(before.is_some() && after.is_none());
    }
}
