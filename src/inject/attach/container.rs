//! Mounts the files of one container from outside, or removes the mounts.
//!
//! The mounts of the container are read from outside and its files are opened from there; a process
//! that holds every descriptor it needs enters the mount namespace only for the mounting itself. An
//! older or dead file of Plimsoll is replaced from beneath, so the kernel's own file is never
//! visible.

use crate::{
    base::{
        paths::FS_TYPE,
        sys::{chain, is_gone},
        units::{Key, Pid},
    },
    inject::{
        binds,
        deliver::{Delivery, MountPlan, deliver},
        hosts_files::HostsFiles,
        leave_out::HostParts,
        namespace::{EnterError, HeldProcess, MountNamespace},
        own_mounts::OwnMounts,
        subprocess,
        target::{self, MountTarget},
        tree::{ContainerTree, DetachedMount, TreeOwner},
    },
};
use std::{
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The extent of the work in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// The whole work.
    Apply,
    /// The work without the mounting: the result is that of the mounting.
    DryRun,
}

/// The settings of `attach`, for every container alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachOptions {
    /// The mount point of the view.
    pub view: PathBuf,
    /// Also reaches containers whose limits leave them the whole machine.
    pub unlimited: bool,
    /// Also reaches containers that a rule leaves out of the view.
    pub is_forced: bool,
    /// The extent of the work.
    pub execution: Execution,
    /// The time after which the work in one container is given up.
    pub timeout: Duration,
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    /// A process in the container.
    pub(super) pid: Pid,
    /// The container's key, which names its directory in the view.
    pub(super) key: Key,
    /// The parts of the container that are the host's own.
    pub(super) host_parts: HostParts,
}

/// Puts the files of a container over the kernel's, unless its limits leave it the whole machine.
///
/// `here` are the mounts of this process. The caller must have one thread only.
pub(super) fn attach(
    container: &Running,
    here: Arc<OwnMounts>,
    options: &AttachOptions,
) -> Delivery {
    let delivery = subprocess::run(options.timeout, || {
        match MountNamespace::of_container(here, container.pid) {
            Ok(mut namespace) => fill(&mut namespace, container, options),
            Err(error) => Delivery::Failed(chain(&error)),
        }
    });
    delivery.unwrap_or_else(|| late(options.timeout))
}

/// Does what [`attach`] does in this process, which is in the container's mount namespace afterwards.
/// The container is that of `process`.
pub(super) fn attach_here(
    container: &Running,
    process: &HeldProcess,
    here: Arc<OwnMounts>,
    options: &AttachOptions,
) -> Delivery {
    match MountNamespace::of_container(here, container.pid) {
        // The pid was that of `process` during the whole look-up.
        Ok(mut namespace) if process.is_alive() => fill(&mut namespace, container, options),
        Ok(_) => Delivery::Failed(chain(&EnterError::Ended(container.pid))),
        Err(error) => Delivery::Failed(chain(&error)),
    }
}

/// Puts the files of the container in one of its mount namespaces.
pub(super) fn fill(
    namespace: &mut MountNamespace,
    container: &Running,
    options: &AttachOptions,
) -> Delivery {
    namespace.root.host_parts = container.host_parts.clone();
    let namespace = &*namespace;
    let put = |tree: &ContainerTree<'_>| put(tree, namespace, options.execution);
    let (view, owner) = (&options.view, TreeOwner::Container(container.key));
    let served = &namespace.here.served;
    deliver(view, owner, served, options.unlimited, put)
}

/// Calls `work` with the mount namespace of the process `pid`, in a process of its own. `None` if
/// `work` returns `None`, or the process has ended.
///
/// The caller must have one thread only.
pub(super) fn within(
    timeout: Duration,
    here: Arc<OwnMounts>,
    pid: Pid,
    work: impl FnOnce(&mut MountNamespace) -> Option<Delivery>,
) -> Option<Delivery> {
    // An outcome that stands for none, which the other process returns as bytes.
    let none = || Delivery::Unlimited;
    let delivery = subprocess::run(timeout, || match MountNamespace::of_container(here, pid) {
        Ok(mut namespace) => work(&mut namespace).unwrap_or_else(none),
        Err(EnterError::Ended(_)) => none(),
        Err(EnterError::Refused { source, .. }) if is_gone(&source) => none(),
        Err(error) => Delivery::Failed(chain(&error)),
    });
    match delivery {
        Some(Delivery::Unlimited) => None,
        Some(delivery) => Some(delivery),
        None => Some(late(timeout)),
    }
}

/// Removes every mount of Plimsoll, of any view, from the container of the process `pid`.
///
/// The caller must have one thread only.
pub(super) fn detach(pid: Pid, execution: Execution, timeout: Duration) -> Delivery {
    // A removal puts nothing that could appear in a mount of this process.
    let here = Arc::default();
    let delivery = subprocess::run(timeout, || match MountNamespace::of_container(here, pid) {
        Ok(namespace) => remove(&namespace, execution),
        Err(error) => Delivery::Failed(chain(&error)),
    });
    delivery.unwrap_or_else(|| late(timeout))
}

fn late(timeout: Duration) -> Delivery {
    Delivery::Late(format!(
        "a file system there, or the daemon, has not answered within {}",
        humantime::format_duration(timeout)
    ))
}

/// Puts the files of `tree` over those of a container that is seen from outside.
pub(in crate::inject) fn put(
    tree: &ContainerTree<'_>,
    namespace: &MountNamespace,
    execution: Execution,
) -> Delivery {
    let plan = MountPlan::of(tree, &namespace.root);
    if execution == Execution::Apply
        && !plan.is_empty()
        && let Err(error) = namespace.enter()
    {
        return Delivery::Failed(chain(&error));
    }
    let put = |mount: &DetachedMount, target: &MountTarget<'_>| match execution {
        Execution::DryRun => Ok(()),
        Execution::Apply if target.mount.kind == FS_TYPE => {
            target.replace(mount.fd.as_fd(), &namespace.fds)
        }
        Execution::Apply => target.cover(mount.fd.as_fd()),
    };
    plan.carry_out(put, |uncovered| match execution {
        Execution::DryRun => Ok(()),
        Execution::Apply => uncovered.mount(),
    })
}

/// Removes every mount of Plimsoll from a mount namespace.
pub(super) fn remove(namespace: &MountNamespace, execution: Execution) -> Delivery {
    let root = &namespace.root;
    let mut found = Vec::new();
    for bind in binds() {
        let path = Path::new(bind.path);
        if let Ok(Some(target)) = root.find(path)
            && target::is_ours(target.mount)
        {
            found.push((path, HostsFiles::of(path)));
        }
    }
    if execution == Execution::Apply
        && !found.is_empty()
        && let Err(error) = namespace.enter()
    {
        return Delivery::Failed(chain(&error));
    }
    let mut mounts = 0;
    let mut refused = Vec::new();
    for (path, hosts) in &found {
        let taken = match execution {
            Execution::DryRun => Ok(1),
            Execution::Apply => root.uncover(path, target::is_ours, hosts.as_ref(), &namespace.fds),
        };
        match taken {
            Ok(taken) => mounts += taken,
            Err(error) => refused.push(chain(&error)),
        }
    }
    Delivery::Mounted {
        mounts,
        unchanged: 0,
        refused,
    }
}
