//! Puts a container's own files over the kernel's: every one that can be put.

use super::{
    binds,
    own::{Own, OwnError, Whose},
    target::Root,
};
use crate::base::{mountinfo::Mount, sys::chain};
use std::{os::fd::AsFd, path::Path};

/// What became of a container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Delivered {
    /// It has its files now.
    Given {
        /// How many were put there.
        mounts: usize,
        /// How many were there already.
        kept: usize,
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

impl Delivered {
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn parse(text: &[u8]) -> Delivered {
        let ended = || Delivered::Failed("who was to bring its files there has ended".to_owned());
        serde_json::from_slice(text).unwrap_or_else(|_| ended())
    }
}

/// Has the files of that container, from the view that is served at `view`, brought by `put`; unless
/// its limits leave it the whole machine, where `unlimited` does not ask for it. `here` are this
/// process's mounts.
pub(super) fn deliver(
    view: &Path,
    whose: Whose,
    here: &[Mount],
    unlimited: bool,
    put: impl FnOnce(&Own<'_>) -> Delivered,
) -> Delivered {
    let own = match Own::open(view, whose, here) {
        Ok(own) => own,
        Err(error @ OwnError::NotServed { .. }) => return Delivered::NotServed(chain(&error)),
        Err(error) => return Delivered::Failed(chain(&error)),
    };
    match unlimited || own.is_limited().unwrap_or(true) {
        true => put(&own),
        false => Delivered::Unlimited,
    }
}

/// Puts the files over those in `root`, which lies in this process's mount namespace.
pub(super) fn cover(own: &Own<'_>, root: &Root) -> Delivered {
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
    Delivered::Given {
        mounts,
        kept: 0,
        refused,
    }
}
