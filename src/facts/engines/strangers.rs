//! The containers of engines that are not known, by the namespaces of their first processes.
//!
//! A process is the first one of a container if it
//!
//! - is the init of a pid namespace that is not the host's,
//! - has a mount namespace that is not the host's, and
//! - is in a cgroup of its own: one that is not the root, and in which the process that made the
//!   mount namespace is not.
//!
//! The last rule is for the sandboxes of browsers, of Flatpak and of other users of bubblewrap. Such a
//! sandbox has both namespaces, but no limits: it shares the cgroup of the session or the service that
//! started it, whose other processes are the host's. Only engines make cgroups.

use super::{shapes::Label, table::Engine};
use crate::{
    base::{sys, units::Pid},
    facts::{
        cgroup::Membership,
        host::parse::{self, ns_pids, task_stat},
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The maximum number of ancestors of a process that are looked at.
const MAX_ANCESTORS: usize = 32;

/// The pid and the mount namespace of the host.
#[derive(Debug)]
pub(super) struct HostNamespaces {
    pid: Option<PathBuf>,
    mount: Option<PathBuf>,
}

impl HostNamespaces {
    /// Reads the namespaces of PID 1 in the directory `proc`, or, where PID 1 is protected even from
    /// root, those of this process.
    pub(super) fn of(proc: &Path) -> HostNamespaces {
        let of = |name: &str| {
            let first = namespace(&proc.join("1"), name);
            first.or_else(|| namespace(&proc.join("self"), name))
        };
        HostNamespaces {
            pid: of("pid"),
            mount: of("mnt"),
        }
    }

    /// Returns whether the process is one of the host itself, by both namespaces. False if the
    /// namespaces cannot be read.
    pub(super) fn has(&self, process: &Path) -> bool {
        let is_own =
            |own: &Option<PathBuf>, name| own.is_some() && namespace(process, name) == *own;
        is_own(&self.pid, "pid") && is_own(&self.mount, "mnt")
    }

    /// Returns the label of the container whose first process has the directory `process` in `/proc`;
    /// `None` if the process is not the first one of a container.
    pub(super) fn stranger(&self, process: &Path) -> Option<Label> {
        let differs = |own: &Option<PathBuf>, name| {
            let other = namespace(process, name);
            own.is_some() && other.is_some() && other != *own
        };
        let is_other = || differs(&self.pid, "pid") && differs(&self.mount, "mnt");
        // The namespaces of root's processes are hidden from other users, and the cgroups are not.
        let cgroup = match namespace(process, "pid") {
            None if is_init(process) => {
                let mut cgroups = cgroups(process).into_iter();
                cgroups.find(|path| name_of_run(path).is_some())?
            }
            Some(_) if is_other() && is_init(process) => own_cgroup(process)?,
            _ => return None,
        };
        let (engine, id) = match name_of_run(&cgroup) {
            Some(name) => (Engine::Plimsoll, name),
            None => (Engine::Other, cgroup.as_str()),
        };
        let is_odd = |letter: char| letter.is_control();
        Some(Label {
            engine,
            id: id.replace(is_odd, "?"),
        })
    }
}

/// Returns the name of the container of `plimsoll run` that has this cgroup (`run::cgroups`): the limits
/// are those of the cgroup with the name, and the processes are in the cgroup `box` below.
fn name_of_run(cgroup: &str) -> Option<&str> {
    let (above, name) = cgroup.strip_suffix("/box")?.rsplit_once('/')?;
    (above == "/plimsoll" || above.ends_with("/plimsoll")).then_some(name)
}

/// Returns whether the process is the init of its pid namespace.
pub(super) fn is_init(process: &Path) -> bool {
    let status = sys::read_text(&process.join("status")).unwrap_or_default();
    ns_pids(&status).last() == Some(&Pid(1))
}

/// Returns the paths of the cgroups of a process, first that of the hierarchy which counts memory.
pub(super) fn cgroups(process: &Path) -> Vec<String> {
    let text = fs::read(process.join("cgroup")).unwrap_or_default();
    let membership = Membership::parse(&text);
    // The kernel marks a cgroup of v2 that was removed under a zombie. A living process is in a living
    // cgroup, whose name may end like the mark.
    let is_removed = membership.without_mark().is_some() && has_ended(process);
    let v2 = membership.v2().map(PathBuf::as_path);
    let removed = v2.filter(|_| is_removed);
    let memory = membership.v1("memory").map(PathBuf::as_path);
    let first = [memory, v2].into_iter().flatten();
    let all = first.chain(membership.paths());
    let living = all.filter(|path| Some(*path) != removed);
    living.filter_map(Path::to_str).map(str::to_owned).collect()
}

fn has_ended(process: &Path) -> bool {
    let stat = sys::read_text(&process.join("stat")).unwrap_or_default();
    task_stat(&stat).is_none_or(|stat| stat.is_exiting)
}

/// Returns the cgroup of a process that is not the root, and not one of the process that made its
/// mount namespace.
fn own_cgroup(process: &Path) -> Option<String> {
    let proc = process.parent()?;
    let mount = namespace(process, "mnt");
    let mut outside = parent(proc, process);
    for _ in 0..MAX_ANCESTORS {
        match outside {
            Some(above) if namespace(&above, "mnt") == mount => outside = parent(proc, &above),
            _ => break,
        }
    }
    let outside = outside.map(|process| cgroups(&process)).unwrap_or_default();
    let mut own = cgroups(process).into_iter();
    own.find(|cgroup| cgroup != "/" && !outside.contains(cgroup))
}

/// Returns the directory of the process's parent; `None` if the parent is not visible.
fn parent(proc: &Path, process: &Path) -> Option<PathBuf> {
    let status = sys::read_text(&process.join("status")).ok()?;
    parse::parent(&status).map(|parent| proc.join(parent.to_string()))
}

fn namespace(process: &Path, name: &str) -> Option<PathBuf> {
    fs::read_link(process.join("ns").join(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_of_plimsoll_run_is_known_by_its_cgroup() {
        for (cgroup, name) in [
            ("/plimsoll/web/box", Some("web")),
            ("/docker/1/plimsoll/web/box", Some("web")),
            ("/plimsoll/web", None),
            ("/plimsoll/box", None),
            ("/other/web/box", None),
            ("/notplimsoll/web/box", None),
        ] {
            assert_eq!(name_of_run(cgroup), name, "{cgroup}");
        }
    }
}
