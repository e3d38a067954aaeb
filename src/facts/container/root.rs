//! The cgroup that is the root of a task's container. A task may be in a cgroup below: systemd moves
//! itself into `init.scope`, and the entry points of docker:dind, k3s and others move themselves into a
//! cgroup such as `init`.
//!
//! | the root is | by |
//! |---|---|
//! | the cgroup above `init.scope` | systemd's convention |
//! | the root of the task's cgroup namespace, if an engine made the namespace for the container | the kernel, through a thread in the namespace |
//! | the innermost cgroup on the path that has the shape of an engine's container | [`engines::container_cgroups`] |
//! | the task's own cgroup | the kernel |
//!
//! The topmost of these counts. A container cannot choose a root above its own: a cgroup namespace
//! begins at the cgroup of the process that makes it, so a container makes only deeper ones, and a name
//! that a container gives to a cgroup lies below its root. Limits of every level above the root bind
//! in any case.
//!
//! A namespace or a shape can be that of an outer container. A namespace counts only if the init of the
//! enclosing pid namespace is in another cgroup namespace. Shapes count only if there are at least as
//! many on the path as the task has pid namespaces.

use super::{namespace, task::SeenTask};
use crate::{
    base::{sys, units::Pid},
    facts::{
        cgroup::{Layout, Membership, Paths},
        engines,
        host::{Machine, parse},
    },
};
use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};
use std::{io, path::Path};

/// The maximum number of ancestors of a process that are read to find an init.
const MAX_ANCESTORS: usize = 64;

/// Returns the paths of the root of the task's container; `own` are the paths of the task itself.
pub(super) fn of(task: &SeenTask, own: Paths, cgroups: &Layout, machine: &Machine) -> Paths {
    let Some(membership) = task.cgroups() else {
        return own;
    };
    let candidates = [
        by_namespace(task, &membership, machine).and_then(|root| cgroups.paths(&root)),
        by_shape(task, &own, cgroups, machine),
        Some(own.clone().out_of_init_scope()),
    ];
    let depth = |paths: &Paths| paths.path().components().count();
    let candidates = candidates.into_iter().flatten();
    let above = candidates.filter(|root| root.contains(&own));
    above.min_by_key(depth).unwrap_or(own)
}

/// Returns the root of the task's cgroup namespace; `None` if the namespace is not the container's own,
/// or this process may not enter the namespace.
fn by_namespace(task: &SeenTask, membership: &Membership, machine: &Machine) -> Option<Membership> {
    let own = namespace(machine, &task.place, "cgroup").ok()?;
    if own == namespace(machine, "self", "cgroup").ok()? {
        return None;
    }
    let outer = enclosing_init(&task.place, machine)?;
    if own == namespace(machine, &outer, "cgroup").ok()? {
        return None;
    }
    let read = |file: &str| -> io::Result<Membership> {
        let text = machine.proc().read(Path::new(file))?;
        Ok(Membership::parse(&text))
    };
    let ns = format!("{}/ns/cgroup", task.place);
    if !machine.proc().is_pseudo_fs() {
        // A captured machine keeps the view from inside in the place of the namespace.
        let inside = read(&ns).ok()?;
        return Some(membership.root_of_namespace(&inside, [membership, &inside]));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let ns = openat(machine.proc(), ns.as_str(), flags, Mode::empty()).ok()?;
    let outside = read("self/cgroup").ok()?;
    let file = format!("{}/cgroup", task.place);
    let (inside, witness) =
        sys::in_cgroup_namespace(ns, || Ok((read(&file)?, read("self/cgroup")?))).ok()?;
    Some(membership.root_of_namespace(&inside, [&outside, &witness]))
}

/// Returns the directory below `/proc` of the nearest ancestor that is the init of a pid namespace;
/// `self` for an init of which this process sees no other init above.
fn enclosing_init(place: &str, machine: &Machine) -> Option<String> {
    let mut status = machine.proc_text(format!("{place}/status")).ok()?;
    for _ in 0..MAX_ANCESTORS {
        let Some(parent) = parse::parent(&status) else {
            return Some("self".to_owned());
        };
        status = machine.proc_text(format!("{parent}/status")).ok()?;
        match parse::ns_pids(&status).as_slice() {
            [] => return None,
            [_] => return Some("self".to_owned()),
            [.., Pid(1)] => return Some(parent.to_string()),
            _ => {}
        }
    }
    None
}

/// Returns the innermost container of an engine on the path `own`; `None` if the task's pid namespaces
/// show that the task is in a container inside.
fn by_shape(task: &SeenTask, own: &Paths, cgroups: &Layout, machine: &Machine) -> Option<Paths> {
    let mut shaped = engines::container_cgroups(own.path().to_str()?);
    let root = shaped.next()?;
    let containers = 1 + shaped.count();
    // This process may be in a container too, and then sees only the pid namespaces inside.
    let here = machine.proc().read(Path::new("self/cgroup")).ok();
    let here = here.and_then(|here| cgroups.paths(&Membership::parse(&here)));
    let around = here.map_or(0, |here| {
        let path = here.path().to_str().unwrap_or_default();
        engines::container_cgroups(path).count()
    });
    let containers = containers.checked_sub(around).filter(|count| *count > 0)?;
    let status = machine.proc_text(format!("{}/status", task.place)).ok()?;
    let namespaces = parse::ns_pids(&status).len().checked_sub(1)?;
    (containers >= namespaces).then(|| own.clone().up_to(Path::new(root)))?
}
