//! Who asked lately: programs that read on and on are told by their thread, and new ones by their
//! pid namespace.
//!
//! Whatever is remembered is asked of the kernel again, by a file of `/proc` that is held open: it
//! belongs to the task that it was opened for, and says `ESRCH` once that one is gone, whoever has
//! its number then (`proc_single_show` of `fs/proc/base.c`). A task never changes its pid namespace,
//! and a namespace never its init; so what has to be compared is where both of them stand.

use super::Container;
use crate::{
    base::{
        sys::{self, ReadError},
        units::{Pid, Tid},
    },
    facts::host::Machine,
};
use nix::sys::uio::pread;
use parking_lot::Mutex;
use std::{os::fd::OwnedFd, path::Path, sync::Arc};

/// So many threads are remembered, each with two files open: its own, and its init's.
const ASKERS: usize = 16;
/// So many namespaces are remembered, each with one file open.
const NAMESPACES: usize = 32;
/// A membership that is longer is read anew each time.
const ROOM: usize = 4096;

/// The membership of a living task, in a file that is held open.
#[derive(Debug)]
pub(super) struct Member {
    file: OwnedFd,
    text: String,
}

impl Member {
    /// That of the task `tid`, which must not end meanwhile.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(super) fn of(tid: Tid, machine: &Machine) -> Result<Member, ReadError> {
        let path = format!("{tid}/cgroup");
        let (file, bytes) = machine
            .proc()
            .read_and_hold(Path::new(&path))
            .map_err(ReadError::refused(Path::new(&path)))?;
        Ok(Member {
            file,
            text: sys::text(bytes),
        })
    }

    /// What `/proc/TID/cgroup` said.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the task lives, and stands where it stood.
    fn is_as_it_was(&self) -> bool {
        let mut room = [0; ROOM];
        match pread(&self.file, &mut room, 0) {
            Ok(length) if length < ROOM => room.get(..length) == Some(self.text.as_bytes()),
            _ => false,
        }
    }
}

/// A pid namespace, by inode number, and its init.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) inode: u64,
    pub(super) init: Pid,
    pub(super) member: Member,
}

#[derive(Debug)]
struct Asker {
    tid: Tid,
    member: Member,
    namespace: Arc<Namespace>,
    container: Arc<Container>,
}

/// The threads that asked lately, and their pid namespaces.
#[derive(Debug)]
pub(super) struct Recent {
    askers: [Mutex<Option<Asker>>; ASKERS],
    namespaces: [Mutex<Option<Arc<Namespace>>>; NAMESPACES],
}

impl Default for Recent {
    fn default() -> Recent {
        Recent {
            askers: std::array::from_fn(|_| Mutex::default()),
            namespaces: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Recent {
    /// The container of that thread, if it asked lately, and nothing has changed since; the caller
    /// has to see that the container is still there.
    pub(super) fn container(&self, tid: Tid) -> Option<Arc<Container>> {
        let mut slot = slot(&self.askers, tid.0.into())?.lock();
        let asker = slot.as_ref().filter(|asker| asker.tid == tid)?;
        if asker.member.is_as_it_was() && asker.namespace.member.is_as_it_was() {
            return Some(Arc::clone(&asker.container));
        }
        *slot = None;
        None
    }

    /// Remembers whose the thread is.
    pub(super) fn remember(
        &self,
        tid: Tid,
        member: Member,
        namespace: Arc<Namespace>,
        container: Arc<Container>,
    ) {
        let asker = Asker {
            tid,
            member,
            namespace,
            container,
        };
        if let Some(slot) = slot(&self.askers, tid.0.into()) {
            // What was there is closed once the lock is free.
            let _before = slot.lock().replace(asker);
        }
    }

    /// The namespace with that inode number, if somebody asked in it lately, and its init stands
    /// where it stood.
    pub(super) fn namespace(&self, inode: u64) -> Option<Arc<Namespace>> {
        let known = slot(&self.namespaces, inode)?.lock().clone()?;
        (known.inode == inode && known.member.is_as_it_was()).then_some(known)
    }

    /// Remembers a namespace.
    pub(super) fn hold(&self, namespace: Namespace) -> Arc<Namespace> {
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
    use crate::facts::cgroup::Paths;
    use std::{
        os::unix::process::CommandExt,
        process::{Child, Command},
    };

    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("60")
            .arg0("asker")
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
            let member = |child: &Child| Member::of(Tid(child.id()), &machine).unwrap();
            let namespace = recent.hold(Namespace {
                inode: 7,
                init: Pid(init.id()),
                member: member(&init),
            });
            recent.remember(Tid(thread.id()), member(&thread), namespace, container());
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
        let member = || Member::of(Tid(thread.id()), &machine).unwrap();
        let namespace = recent.hold(Namespace {
            inode: 7,
            init: Pid(thread.id()),
            member: member(),
        });
        recent.remember(Tid(thread.id()), member(), namespace, container());
        let before = recent.container(Tid(thread.id()));
        std::fs::write(cgroup.join("cgroup.procs"), thread.id().to_string()).unwrap();
        let after = recent.container(Tid(thread.id()));
        thread.kill().unwrap();
        thread.wait().unwrap();
        std::fs::remove_dir(&cgroup).unwrap();
        assert!(before.is_some() && after.is_none());
    }
}
