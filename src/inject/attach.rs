//! Brings a container its files from outside, or takes them away again; nothing is needed inside.
//!
//! What the container has mounted is looked at from outside and by descriptor; its mount namespace is
//! entered only for the mounting itself, by a process that holds all it needs by then. An older or a
//! dead file of ours is replaced from beneath, so that the kernel's own never shows.

use super::{
    Bind, binds,
    deliver::{Delivery, deliver},
    namespace::MountNamespace,
    subprocess,
    target::MountTarget,
    tree::{ContainerTree, DetachedMount, TreeOwner},
};
use crate::base::{
    paths::FS_TYPE,
    sys::{
        chain,
        mount::{self, Depth},
    },
    units::{Key, Pid},
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::stat::Mode,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

/// How often what is taken away may have lain on another one of ours.
const LAYERS: usize = 8;

/// How far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// Everything.
    Apply,
    /// All but the mounting: what would be done is found out.
    DryRun,
}

/// Puts the files of the container with that key, from the view that is served at `view`, over the
/// kernel's in the container of the process `pid`; unless its limits leave it the whole machine,
/// where `unlimited` does not ask for it. `None` if nothing has come of it within `timeout`.
///
/// The caller must have one thread only.
#[must_use]
pub fn attach(
    view: &Path,
    (pid, key): (Pid, Key),
    unlimited: bool,
    execution: Execution,
    timeout: Duration,
) -> Option<Delivery> {
    subprocess::delivered(timeout, || match MountNamespace::look(pid, None) {
        Ok(inside) => {
            let owner = TreeOwner::Container(key);
            let put = |own: &ContainerTree<'_>| put(own, &inside, execution);
            deliver(view, owner, &inside.here, unlimited, put)
        }
        Err(error) => Delivery::Failed(chain(&error)),
    })
}

/// Takes every file of ours out of the container of the process `pid`, whichever view it is of.
/// `None` if nothing has come of it within `timeout`.
///
/// The caller must have one thread only.
#[must_use]
pub fn detach(pid: Pid, execution: Execution, timeout: Duration) -> Option<Delivery> {
    let mut mounts = 0;
    for _ in 0..LAYERS {
        let taken = subprocess::delivered(timeout, || match MountNamespace::look(pid, None) {
            Ok(inside) => take(&inside, execution),
            Err(error) => Delivery::Failed(chain(&error)),
        })?;
        match taken {
            Delivery::Mounted {
                mounts: taken,
                refused,
                ..
            } if taken > 0 && refused.is_empty() && execution == Execution::Apply => {
                mounts += taken
            }
            Delivery::Mounted {
                mounts: taken,
                refused,
                ..
            } => {
                return Some(Delivery::Mounted {
                    mounts: mounts + taken,
                    unchanged: 0,
                    refused,
                });
            }
            other => return Some(other),
        }
    }
    Some(Delivery::Mounted {
        mounts,
        unchanged: 0,
        refused: Vec::new(),
    })
}

/// Puts the files over those in a container that was looked at from outside.
pub(super) fn put(own: &ContainerTree, inside: &MountNamespace, execution: Execution) -> Delivery {
    let mut plan: Vec<(Bind, DetachedMount, MountTarget<'_>)> = Vec::new();
    let mut refused = Vec::new();
    let mut unchanged = 0;
    for bind in binds() {
        let tree = own.tree(bind).map_err(|error| chain(&error));
        let target = inside.root.target(bind).map_err(|error| chain(&error));
        match (tree, target) {
            (Ok(Some(tree)), Ok(Some(target))) if own.is_at(&tree, target.mount) => unchanged += 1,
            (Ok(Some(tree)), Ok(Some(target))) => plan.push((bind, tree, target)),
            (Err(error), Ok(Some(_)) | Err(_)) | (Ok(Some(_)), Err(error)) => refused.push(error),
            (_, Ok(None)) | (Ok(None), _) => {}
        }
    }
    if execution == Execution::Apply
        && !plan.is_empty()
        && let Err(error) = inside.enter()
    {
        return Delivery::Failed(chain(&error));
    }
    let mut mounts = 0;
    for (bind, tree, target) in &plan {
        let put = match execution {
            Execution::DryRun => Ok(()),
            Execution::Apply if target.mount.kind == FS_TYPE => {
                target.replace(tree.fd.as_fd(), &inside.open)
            }
            Execution::Apply => target.cover(tree.fd.as_fd()),
        };
        match put {
            Ok(()) => mounts += 1,
            Err(error) => refused.push(format!("cannot cover /{}: {}", bind.path, error.desc())),
        }
    }
    Delivery::Mounted {
        mounts,
        unchanged,
        refused,
    }
}

fn take(inside: &MountNamespace, execution: Execution) -> Delivery {
    let mut plan = Vec::new();
    let mut refused = Vec::new();
    for bind in binds() {
        match inside.root.target(bind) {
            Ok(Some(target)) if target.mount.kind == FS_TYPE => {
                plan.push((bind, hosts(bind), target))
            }
            // What is not ours is none of our business, whatever it is.
            Ok(_) | Err(_) => {}
        }
    }
    if execution == Execution::Apply
        && !plan.is_empty()
        && let Err(error) = inside.enter()
    {
        return Delivery::Failed(chain(&error));
    }
    let mut mounts = 0;
    for (bind, hosts, target) in &plan {
        let taken = match execution {
            Execution::DryRun => Ok(()),
            Execution::Apply => match (target.uncover(&inside.open), hosts) {
                // A container with a user namespace of its own may not lose a mount that it was
                // given; it may get another one on top.
                (Err(Errno::EINVAL | Errno::EPERM), Some(hosts)) => target.cover(hosts.as_fd()),
                (result, _) => result,
            },
        };
        match taken {
            Ok(()) => mounts += 1,
            Err(error) => refused.push(format!("cannot uncover /{}: {}", bind.path, error.desc())),
        }
    }
    Delivery::Mounted {
        mounts,
        unchanged: 0,
        refused,
    }
}

/// The host's own file, to be put on top.
fn hosts(bind: Bind) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let path = Path::new("/").join(bind.path);
    let file = open(&path, flags, Mode::empty()).ok()?;
    let tree = mount::clone_tree(file.as_fd(), Depth::Alone).ok()?;
    mount::make_private(tree.as_fd()).ok()?;
    Some(tree)
}
