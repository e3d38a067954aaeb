//! Puts a container's own files over the kernel's: every one that can be put.

use super::{
    binds,
    target::ContainerRoot,
    tree::{ContainerTree, TreeError, TreeOwner},
};
use crate::base::{mountinfo::Mount, sys::chain};
use std::{os::fd::AsFd, path::Path};

/// What became of a container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Delivery {
    /// It has its files now.
    Mounted {
        /// How many were put there.
        mounts: usize,
        /// How many were there already.
        unchanged: usize,
        /// Which could not be, and why.
        refused: Vec<String>,
    },
    /// It needs none: its limits leave it the whole machine.
    Unlimited,
    /// Nobody serves them, for the reason that is said.
    NotServed(String),
    /// It could not be reached, for the reason that is said.
    Failed(String),
}

impl Delivery {
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn parse(text: &[u8]) -> Delivery {
        let ended = || Delivery::Failed("who was to bring its files there has ended".to_owned());
        serde_json::from_slice(text).unwrap_or_else(|_| ended())
    }
}

/// Has the files of that container, from the view that is served at `view`, brought by `put`; unless
/// its limits leave it the whole machine, where `unlimited` does not ask for it. `here` are this
/// process's mounts.
pub(super) fn deliver(
    view: &Path,
    owner: TreeOwner,
    here: &[Mount],
    unlimited: bool,
    put: impl FnOnce(&ContainerTree<'_>) -> Delivery,
) -> Delivery {
    let own = match ContainerTree::open(view, owner, here) {
        Ok(own) => own,
        Err(error @ TreeError::NotServed { .. }) => return Delivery::NotServed(chain(&error)),
        Err(error) => return Delivery::Failed(chain(&error)),
    };
    match unlimited || own.is_limited().unwrap_or(true) {
        true => put(&own),
        false => Delivery::Unlimited,
    }
}

/// Puts the files over those in `root`, which lies in this process's mount namespace.
pub(super) fn cover(own: &ContainerTree<'_>, root: &ContainerRoot) -> Delivery {
    let mut mounts = 0;
    let mut refused = Vec::new();
    for bind in binds() {
        let tree = own.tree(bind).map_err(|error| chain(&error));
        let target = root.target(bind).map_err(|error| chain(&error));
        match (tree, target) {
            (Ok(Some(tree)), Ok(Some(target))) => match target.cover(tree.fd.as_fd()) {
                Ok(()) => mounts += 1,
                Err(error) => refused.push(format!(
                    "cannot put the view's file over /{}: {}",
                    bind.path,
                    error.desc()
                )),
            },
            (Err(error), Ok(Some(_))) | (Ok(Some(_)), Err(error)) | (Err(error), Err(_)) => {
                refused.push(error);
            }
            // What the container's kernel or its view does not have is left out.
            (_, Ok(None)) | (Ok(None), _) => {}
        }
    }
    Delivery::Mounted {
        mounts,
        unchanged: 0,
        refused,
    }
}
