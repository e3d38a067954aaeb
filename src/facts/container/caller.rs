//! The container of the thread that sends a request.
//!
//! | caller | numbers |
//! |---|---|
//! | a process of the host: in the pid and mount namespace of PID 1 | the host's own bytes |
//! | a process whose pid namespace has its init in the same cgroup or in one above | those of the init's cgroup: the whole container, for each of its services too |
//! | the same, and the init is in `init.scope` (systemd) | those of the cgroup above `init.scope` |
//! | a container in a container, with a pid namespace of its own | those of the inner init's cgroup; the limits above it bind as well |
//! | containers of a pod that share a pid namespace, with the init in another cgroup | those of each one's own cgroup |
//! | a process in the host's pid namespace, with a mount namespace of its own | those of its own cgroup |
//!
//! An open file shows the numbers of the caller who opened it, whatever cgroup the caller moves to.
//! For a cgroup that is gone, the last good facts are shown, or an error where there are none.

use super::{
    Container, namespace, pids,
    recent::{HeldMembership, Namespace, Recent},
};
use crate::{
    base::{
        sys::{self, ReadError},
        units::{Key, Pid, Tid},
    },
    facts::{
        cgroup::{Layout, Membership, Paths},
        host::Machine,
    },
};
use nix::fcntl::OFlag;
use parking_lot::Mutex;
use std::{collections::HashMap, fs, path::Path, sync::Arc};

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

/// Identifies callers.
#[derive(Debug)]
pub struct Callers {
    host: Namespaces,
    recent: Recent,
    /// `/proc` is the kernel's, so a read of an open file fails when its task has ended.
    is_live: bool,
    /// The inits by pid namespace, for kernels without a way to ask. An init lives as long as its
    /// namespace has processes, so that its pid is free only once the namespace is gone.
    inits: Mutex<HashMap<u64, Pid>>,
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
            inits: Mutex::default(),
        })
    }

    /// Identifies the thread `tid`, which must wait for the reply until the return: otherwise another
    /// thread could get the id.
    ///
    /// A container's root is the cgroup of the init of the caller's pid namespace, if the caller is
    /// in or below that cgroup; else (pods that share one pid namespace, the host's own) the
    /// caller's own cgroup.
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
        let thread = tid.to_string();
        let pid = namespace_of(machine, &thread, "pid").map_err(unread)?;
        // A caller in another pid namespace is no host process, whatever its mount namespace.
        let is_own = pid != self.host.pid;
        if !is_own && namespace_of(machine, &thread, "mnt").map_err(unread)? == self.host.mount {
            return Ok(Caller::Host);
        }
        let membership = HeldMembership::of(tid, machine).map_err(unread)?;
        let own = paths(tid, membership.text(), cgroups)?;
        let namespace = if is_own {
            // A failed read is no proof that the namespace has no init.
            self.namespace(tid, pid, machine).map_err(unread)?
        } else {
            None
        };
        let root = namespace
            .as_ref()
            .and_then(|known| {
                paths(known.init.main_thread(), known.membership.text(), cgroups).ok()
            })
            .map(Paths::out_of_init_scope)
            .filter(|root| root.contains(&own))
            .unwrap_or(own);
        let key = cgroups.key(&root).map_err(unread)?;
        let container = Arc::new(Container {
            key,
            paths: root,
            init: namespace.as_ref().map(|known| known.init),
        });
        if let Some(namespace) = namespace.filter(|_| self.is_live) {
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
        let member = cgroups.processes(&same)?.into_iter().find_map(|pid| {
            let membership = machine.proc_text(format!("{pid}/cgroup")).ok()?;
            paths(pid.main_thread(), &membership, cgroups)
                .ok()?
                .up_to(&path)
        });
        let is_known = member.is_some();
        Ok((at(member.unwrap_or(same)), is_known))
    }

    /// Returns the pid namespace `inode` of that thread; `None` if its init cannot be found.
    ///
    /// # Errors
    /// When descriptors or memory are short.
    fn namespace(
        &self,
        tid: Tid,
        inode: u64,
        machine: &Machine,
    ) -> Result<Option<Arc<Namespace>>, ReadError> {
        if let Some(known) = self.recent.namespace(inode) {
            return Ok(Some(known));
        }
        let Some(init) = self.init(tid, inode, machine)? else {
            return Ok(None);
        };
        let membership = match HeldMembership::of(init.main_thread(), machine) {
            Ok(membership) => membership,
            Err(error) if error.is_shortage() => return Err(error),
            Err(_) => return Ok(None),
        };
        let namespace = Namespace {
            inode,
            init,
            membership,
        };
        Ok(Some(if self.is_live {
            self.recent.remember_namespace(namespace)
        } else {
            Arc::new(namespace)
        }))
    }

    fn init(&self, tid: Tid, namespace: u64, machine: &Machine) -> Result<Option<Pid>, ReadError> {
        let link = format!("{tid}/ns/pid");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mode = nix::sys::stat::Mode::empty();
        let ns = match nix::fcntl::openat(machine.proc(), link.as_str(), flags, mode) {
            Ok(ns) => ns,
            Err(error) => {
                let error = ReadError::refused(Path::new(&link))(error.into());
                return if error.is_shortage() {
                    Err(error)
                } else {
                    Ok(None)
                };
            }
        };
        Ok(match sys::init_of(&ns) {
            Ok(init) => Some(Pid(init)),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                self.init_among_all(namespace, machine)
            }
            Err(_) => None,
        })
    }

    // Before Linux 6.11 no ioctl returns the init, so every process is read, once for a namespace.
    fn init_among_all(&self, wanted: u64, machine: &Machine) -> Option<Pid> {
        let is_in = |pid: Pid| {
            namespace(machine, &pid.to_string(), "pid").is_ok_and(|inode| inode == wanted)
        };
        let known = self.inits.lock().get(&wanted).copied();
        if let Some(init) = known.filter(|init| is_in(*init)) {
            return Some(init);
        }
        let all = machine.proc().directories(Path::new("/")).ok()?;
        let init = all
            .iter()
            .filter_map(|name| name.to_str()?.parse::<Pid>().ok())
            .find(|pid| is_in(*pid) && pids(machine, pid.main_thread()).last() == Some(&Pid(1)))?;
        let mut inits = self.inits.lock();
        inits.retain(|_, init| machine.process(*init).is_ok());
        inits.insert(wanted, init);
        Some(init)
    }
}

fn paths(tid: Tid, membership: &str, cgroups: &Layout) -> Result<Paths, CallerError> {
    cgroups
        .paths(&Membership::parse(membership))
        .ok_or(CallerError::Outside { tid })
}

fn namespaces(machine: &Machine, pid: &str) -> Result<Namespaces, ReadError> {
    Ok(Namespaces {
        pid: namespace_of(machine, pid, "pid")?,
        mount: namespace_of(machine, pid, "mnt")?,
    })
}

fn namespace_of(machine: &Machine, pid: &str, name: &str) -> Result<u64, ReadError> {
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
    let unread = |source| CallerError::Unread {
        tid: pid.main_thread(),
        source,
    };
    let path = format!("/proc/{pid}/cgroup");
    let membership = fs::read_to_string(&path)
        .map_err(ReadError::refused(Path::new(&path)))
        .map_err(unread)?;
    let membership = Membership::parse(&membership);
    let cgroups = Layout::read(Path::new("/")).map_err(unread)?;
    let paths = cgroups.paths(&membership);
    let paths = paths.filter(|_| cgroups.has_keys_of(&membership));
    let paths = paths.ok_or(CallerError::Outside {
        tid: pid.main_thread(),
    })?;
    cgroups.key(&paths.out_of_init_scope()).map_err(unread)
}
