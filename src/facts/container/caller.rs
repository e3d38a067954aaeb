//! The container of the thread that sends a request.
//!
//! | caller | numbers |
//! |---|---|
//! | a process of the host: in the pid and mount namespace of PID 1 | the host's own bytes |
//! | a process in or below the root of the container of its pid namespace's init | those of that root: the whole container, for each of its services too |
//! | a container in a container, with a pid namespace of its own | those of the inner init's root; the limits above it bind as well |
//! | containers of a pod that share a pid namespace, with the init in another cgroup | those of each one's own root |
//! | a process in the host's pid namespace, with a mount namespace of its own | those of its own root |
//! | a process whose main thread has ended, as caller or as init | by a living thread of it |
//! | a process that has ended, on v1 | those of its init's root, or an error |
//!
//! The root of a container is found in `root.rs`: systemd's `init.scope` and processes that moved
//! themselves into a cgroup below count to the cgroup that the engine made.
//!
//! An open file shows the numbers of the caller who opened it, whatever cgroup the caller moves to.
//! For a cgroup that is gone, the last good facts are shown, or an error where there are none.

use super::{
    Container,
    inits::Inits,
    namespace, pids,
    recent::{Namespace, Recent},
    root,
    task::SeenTask,
};
use crate::{
    base::{
        sys::{Effort, ReadError},
        units::{Key, Micros, Pid, Tid},
    },
    facts::{
        cgroup::{Layout, Paths},
        host::Machine,
    },
};
use std::{path::Path, sync::Arc};

/// The maximum CPU time for listing the processes of a container, to find one that shows the
/// container's paths. A container without one is asked once a second.
const PROBE_TIME: Micros = Micros(4_000);
/// The maximum number of those processes that are read: each may end before the read.
const MAX_PROBED: usize = 16;

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A process of the host itself: in the same pid and mount namespace as PID 1.
    Host,
    /// A process in a container.
    Container(Arc<Container>),
}

/// The reason for which a caller cannot be identified.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The caller's pid is not visible in this process's pid namespace.
    #[error("cannot identify the caller: its pid namespace is not below this one")]
    Unseen,
    /// The caller's cgroup lies outside of the cgroup namespace of this process.
    #[error(
        "cannot find the container of thread {tid}: its cgroup lies outside of this cgroup namespace"
    )]
    Outside {
        /// The caller.
        tid: Tid,
    },
    /// The process has ended, and the kernel hides its cgroups.
    #[error("cannot find the container of process {tid}: the process has ended")]
    Ended {
        /// The main thread of the process.
        tid: Tid,
    },
    /// There is no such process.
    #[error("there is no process {0}")]
    NoProcess(Pid),
    /// A file of the kernel about the caller cannot be read.
    #[error("cannot identify thread {tid}")]
    Unread {
        /// The caller.
        tid: Tid,
        /// The read that failed.
        source: ReadError,
    },
}

/// A pid and a mount namespace, by inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Namespaces {
    pid: u64,
    mount: u64,
}

/// The namespaces from which a task comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// The host's pid and mount namespace.
    Host,
    /// The host's pid namespace and another mount namespace.
    AmongHosts,
    /// Another pid namespace, by inode number.
    PidNamespace(u64),
}

/// Identifies callers.
#[derive(Debug)]
pub struct Callers {
    host: Namespaces,
    recent: Recent,
    /// `/proc` is the kernel's, so a read of an open file fails when its task has ended.
    is_live: bool,
    inits: Inits,
}

impl Callers {
    /// Reads the host's namespaces: those of PID 1, or, where PID 1 is protected even from root,
    /// those of this process, which must then run in them.
    ///
    /// # Errors
    /// When neither can be read.
    pub fn new(machine: &Machine) -> Result<Callers, ReadError> {
        Ok(Callers {
            host: namespaces(machine, "1").or_else(|_| namespaces(machine, "self"))?,
            recent: Recent::default(),
            is_live: machine.proc().is_pseudo_fs(),
            inits: Inits::default(),
        })
    }

    /// Identifies the thread `tid`, which must wait for the reply until the return: otherwise another
    /// thread could get the id.
    ///
    /// # Errors
    /// [`CallerError`] when a file about the caller cannot be read, or the caller lies outside of
    /// this process's namespaces.
    pub fn identify(
        &self,
        tid: Tid,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<Caller, CallerError> {
        if tid == Tid(0) {
            return Err(CallerError::Unseen);
        }
        if let Some(container) = self.recent.container(tid)
            && cgroups.key(&container.paths).ok() == Some(container.key)
        {
            return Ok(Caller::Container(container));
        }
        let unread = |source| CallerError::Unread { tid, source };
        let home = self.home(&tid.to_string(), machine).map_err(unread)?;
        if home == Home::Host {
            return Ok(Caller::Host);
        }
        let task = SeenTask::calling(tid, machine).map_err(unread)?;
        self.container_of(task, home, cgroups, machine)
    }

    /// Identifies the process `pid` by a thread of it that lives. A process that has ended counts to
    /// the container of its init.
    ///
    /// # Errors
    /// As for [`Callers::identify`]; [`CallerError::NoProcess`], and [`CallerError::Ended`] for a process
    /// that has ended and has no init.
    pub fn identify_process(
        &self,
        pid: Pid,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<Caller, CallerError> {
        let tid = pid.main_thread();
        let unread = |source| CallerError::Unread { tid, source };
        let task = SeenTask::living(pid, machine).map_err(|error| match error.is_gone() {
            true => CallerError::NoProcess(pid),
            false => unread(error),
        })?;
        let home = match self.home(&task.place, machine) {
            // A process that has ended has a pid namespace and no other.
            Err(_) if task.membership.is_none() => return Err(CallerError::Ended { tid }),
            home => home.map_err(unread)?,
        };
        match home {
            Home::Host => Ok(Caller::Host),
            home => self.container_of(task, home, cgroups, machine),
        }
    }

    /// Identifies the container of the process `pid` by the process's cgroups alone, which every user
    /// may read: the namespaces of another user's process are only root's to see.
    ///
    /// # Errors
    /// As for [`Callers::identify_process`].
    pub fn by_cgroups(
        &self,
        pid: Pid,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<Container, CallerError> {
        let tid = pid.main_thread();
        let unread = |source| CallerError::Unread { tid, source };
        let task = SeenTask::living(pid, machine).map_err(unread)?;
        let membership = task.cgroups().ok_or(CallerError::Ended { tid })?;
        let own = cgroups.paths(&membership);
        let own = own.ok_or(CallerError::Outside { tid })?;
        let paths = root::of(&task, own, cgroups, machine);
        Ok(Container {
            key: cgroups.key(&paths).map_err(unread)?,
            init: (pids(machine, tid).last() == Some(&Pid(1))).then_some(pid),
            paths,
        })
    }

    pub(super) fn home(&self, place: &str, machine: &Machine) -> Result<Home, ReadError> {
        let pid = namespace_of(machine, place, "pid")?;
        // A caller in another pid namespace is no host process, whatever its mount namespace.
        if pid != self.host.pid {
            return Ok(Home::PidNamespace(pid));
        }
        let mount = namespace_of(machine, place, "mnt")?;
        Ok(match mount == self.host.mount {
            true => Home::Host,
            false => Home::AmongHosts,
        })
    }

    /// Finds the container of a task. The init of the task's pid namespace decides, if the task is in
    /// or below the root of the init's container; else (pods that share one pid namespace, the host's
    /// own) the task itself.
    fn container_of(
        &self,
        task: SeenTask,
        home: Home,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<Caller, CallerError> {
        let tid = task.tid;
        let unread = |source| CallerError::Unread { tid, source };
        let own = match task.cgroups() {
            Some(membership) => {
                let own = cgroups.paths(&membership);
                Some(own.ok_or(CallerError::Outside { tid })?)
            }
            None => None,
        };
        let namespace = match home {
            // A failed read is no proof that the namespace has no init.
            Home::PidNamespace(inode) => {
                let namespace = self.namespace(&task, inode, cgroups, machine);
                namespace.map_err(unread)?
            }
            Home::Host | Home::AmongHosts => None,
        };
        let holds = |root: &Paths| own.as_ref().is_none_or(|own| root.contains(own));
        let inits = namespace.as_ref().and_then(|known| {
            let root = known.root.clone().filter(holds)?;
            Some((Some(known.init), root))
        });
        let (init, paths) = match (inits, own) {
            (Some(inits), _) => inits,
            (None, Some(own)) => (None, root::of(&task, own, cgroups, machine)),
            (None, None) => return Err(CallerError::Ended { tid }),
        };
        let key = cgroups.key(&paths).map_err(unread)?;
        let container = Arc::new(Container { key, paths, init });
        if let (Some(namespace), Some(membership), true) =
            (namespace, task.membership, self.is_live)
        {
            (self.recent).remember(tid, membership, namespace, Arc::clone(&container));
        }
        Ok(Caller::Container(container))
    }

    /// Returns the container with that key, and whether its path in every hierarchy is certain: with
    /// several hierarchies, only a process of the container shows the paths.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when there is no such container (any more).
    pub fn container(
        &self,
        key: Key,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<(Container, bool), ReadError> {
        let path = cgroups.path_of(key)?;
        let same = Paths::at(&path);
        let at = |paths| Container {
            key,
            paths,
            init: None,
        };
        if cgroups.is_single() {
            return Ok((at(same), true));
        }
        // Other hierarchies of v1 may have the container at another path.
        let mut effort = Effort::of(PROBE_TIME);
        let members = cgroups.processes(&same)?;
        let mut members = (members.take_while(|_| effort.permits_step())).flatten();
        let member = members.by_ref().take(MAX_PROBED).find_map(|pid| {
            let membership = SeenTask::living(pid, machine).ok()?.cgroups()?;
            cgroups.paths(&membership)?.up_to(&path)
        });
        let is_known = member.is_some();
        Ok((at(member.unwrap_or(same)), is_known))
    }

    /// Returns the pid namespace `inode` of that task; `None` if its init cannot be found.
    ///
    /// # Errors
    /// When descriptors or memory are short.
    fn namespace(
        &self,
        task: &SeenTask,
        inode: u64,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<Option<Arc<Namespace>>, ReadError> {
        if let Some(known) = self.recent.namespace(inode) {
            return Ok(Some(known));
        }
        let Some(init) = self.inits.of(&task.place, inode, machine)? else {
            return Ok(None);
        };
        let found = match SeenTask::living(init, machine) {
            Ok(found) => found,
            Err(error) if error.is_shortage() => return Err(error),
            Err(_) => return Ok(None),
        };
        let own = found.cgroups().and_then(|own| cgroups.paths(&own));
        let root = own.map(|own| root::of(&found, own, cgroups, machine));
        let namespace = found.membership.map(|membership| Namespace {
            inode,
            init,
            membership,
            root,
        });
        Ok(namespace.map(|namespace| match self.is_live {
            true => self.recent.remember_namespace(namespace),
            false => Arc::new(namespace),
        }))
    }
}

fn namespaces(machine: &Machine, pid: &str) -> Result<Namespaces, ReadError> {
    Ok(Namespaces {
        pid: namespace_of(machine, pid, "pid")?,
        mount: namespace_of(machine, pid, "mnt")?,
    })
}

pub(super) fn namespace_of(machine: &Machine, pid: &str, name: &str) -> Result<u64, ReadError> {
    namespace(machine, pid, name)
        .map_err(|error| ReadError::refused(Path::new(&format!("/proc/{pid}/ns/{name}")))(error))
}

/// Returns the key of the container with that first process, before the container has another one.
/// The daemon finds the same key if it sees the same hierarchies, at whatever paths.
///
/// # Errors
/// [`CallerError`] when a file about the process cannot be read, or the process lies outside of this
/// one's namespaces.
pub fn key_of_first(pid: Pid) -> Result<Key, CallerError> {
    let tid = pid.main_thread();
    let unread = |source| CallerError::Unread { tid, source };
    let machine = Machine::at(Path::new("/")).map_err(unread)?;
    let task = SeenTask::living(pid, &machine).map_err(unread)?;
    let membership = task.cgroups().ok_or(CallerError::Ended { tid })?;
    let cgroups = Layout::read(Path::new("/")).map_err(unread)?;
    let own = cgroups.paths(&membership);
    let own = own.filter(|_| cgroups.has_keys_of(&membership));
    let own = own.ok_or(CallerError::Outside { tid })?;
    let root = root::of(&task, own, &cgroups, &machine);
    cgroups.key(&root).map_err(unread)
}
