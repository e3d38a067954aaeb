//! Mounts the container's files over the kernel's: every file that can be mounted.

use super::{
    Bind, binds,
    target::{ContainerRoot, MountTarget},
    tree::{ContainerTree, DetachedMount, TreeError, TreeOwner},
    uncovered::UncoveredPlan,
};
use crate::{
    base::{mountinfo::Mount, sys::chain},
    view::files::CPUS,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// The outcome for one container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Delivery {
    /// The mounts of the container are as the caller requested, except the refused ones.
    Mounted {
        /// The number of files that were mounted or removed.
        mounts: usize,
        /// The number of files that were mounted already.
        unchanged: usize,
        /// The error of each file that could not be mounted or removed.
        refused: Vec<String>,
    },
    /// The container needs no files: its limits leave it the whole machine.
    Unlimited,
    /// A rule leaves the container out of the view; with the reason.
    LeftOut(String),
    /// No daemon serves the files; with the error.
    NotServed(String),
    /// The container or the daemon did not answer in time; with the error.
    Late(String),
    /// The container could not be reached; with the error.
    Failed(String),
}

impl Delivery {
    /// Returns the outcome as bytes that [`parse`](Self::parse) reads in another process.
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads an outcome; other bytes mean that the process which mounts has ended.
    pub(super) fn parse(text: &[u8]) -> Delivery {
        let ended = || Delivery::Failed("the process that mounts the files has ended".to_owned());
        serde_json::from_slice(text).unwrap_or_else(|_| ended())
    }
}

/// Calls `put` with the directory of `owner` in the view at `view`; unless the container's limits
/// leave it the whole machine and `unlimited` is not set. `here` are this process's mounts of
/// Plimsoll.
pub(super) fn deliver(
    view: &Path,
    owner: TreeOwner,
    here: &[Mount],
    unlimited: bool,
    put: impl FnOnce(&ContainerTree<'_>) -> Delivery,
) -> Delivery {
    let tree = match ContainerTree::open(view, owner, here) {
        Ok(tree) => tree,
        Err(error @ TreeError::NotServed { .. }) => return Delivery::NotServed(chain(&error)),
        Err(error) => return Delivery::Failed(chain(&error)),
    };
    match unlimited || tree.is_limited().unwrap_or(true) {
        true => put(&tree),
        false => Delivery::Unlimited,
    }
}

/// The mounts that a container lacks.
#[derive(Debug)]
pub(super) struct MountPlan<'a> {
    mounts: Vec<(Bind, DetachedMount, MountTarget<'a>)>,
    unchanged: usize,
    refused: Vec<String>,
    uncovered: Option<UncoveredPlan>,
}

impl MountPlan<'_> {
    /// Finds the mounts that the container with that root lacks of `tree`. A file that the
    /// container's kernel or the view does not have is left out.
    pub(super) fn of<'a>(tree: &ContainerTree<'_>, root: &'a ContainerRoot) -> MountPlan<'a> {
        let mut plan = MountPlan {
            mounts: Vec::new(),
            unchanged: 0,
            refused: Vec::new(),
            uncovered: None,
        };
        let mut top = None;
        let mut covered = Vec::new();
        for bind in binds() {
            let mount = tree.tree(bind).map_err(|error| chain(&error));
            let target = root.target(bind).map_err(|error| chain(&error));
            match (mount, target) {
                (Ok(Some(mount)), Ok(Some(target))) if tree.is_at(&mount, target.mount) => {
                    plan.unchanged += 1;
                    keep_top(&mut top, bind, target.file);
                }
                (Ok(Some(mount)), Ok(Some(target))) => {
                    keep_top(&mut top, bind, &mount.fd);
                    covered.push(target.mount.id);
                    plan.mounts.push((bind, mount, target));
                }
                (Err(error), Ok(Some(_)) | Err(_)) | (Ok(Some(_)), Err(error)) => {
                    plan.refused.push(error);
                }
                (_, Ok(None)) | (Ok(None), _) => {}
            }
        }
        plan.uncovered = top.and_then(|top| UncoveredPlan::of(root, &covered, top));
        plan
    }

    /// Returns true if every mount that can be made is there.
    pub(super) fn is_empty(&self) -> bool {
        self.mounts.is_empty() && self.uncovered.is_none()
    }

    /// Calls `put` for each mount and its target, and `keep` for the uncovered copies.
    pub(super) fn carry_out(
        self,
        put: impl Fn(&DetachedMount, &MountTarget<'_>) -> nix::Result<()>,
        keep: impl Fn(&UncoveredPlan) -> nix::Result<()>,
    ) -> Delivery {
        let mut mounts = 0;
        let mut refused = self.refused;
        for (bind, mount, target) in &self.mounts {
            match put(mount, target) {
                Ok(()) => mounts += 1,
                Err(error) => {
                    refused.push(format!("cannot cover /{}: {}", bind.path, error.desc()));
                }
            }
        }
        if let Some(Err(error)) = self.uncovered.as_ref().map(keep) {
            let error = error.desc();
            refused.push(format!("cannot keep /proc and /sys uncovered: {error}"));
        }
        Delivery::Mounted {
            mounts,
            unchanged: self.unchanged,
            refused,
        }
    }
}

/// Keeps the mount of the CPUs' directory, below which the uncovered copies can lie.
fn keep_top(top: &mut Option<OwnedFd>, bind: Bind, mount: impl AsFd) {
    if bind.path == CPUS {
        *top = mount.as_fd().try_clone_to_owned().ok();
    }
}
