//! The uncovered copies that a container lacks, and their mounts.

use super::rule::{Whole, lacking};
use crate::{
    base::{
        paths::UNCOVERED_SOURCE,
        sys::mount::{self, Depth, Forbid},
    },
    inject::{Below, target::ContainerRoot},
};
use nix::{
    fcntl::{OFlag, openat},
    sys::stat::{Mode, mkdirat},
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The options of the tmpfs, which only root may search.
const OPTIONS: [(&str, &str); 2] = [("mode", "700"), ("nr_inodes", "16")];

/// The uncovered copies that a container lacks.
#[derive(Debug)]
pub(in crate::inject) struct UncoveredPlan {
    /// The tops of the mounts to copy.
    sources: Vec<(Below, OwnedFd)>,
    /// The mount beneath which the copies are put.
    top: OwnedFd,
}

impl UncoveredPlan {
    /// Finds the copies that a container lacks once Plimsoll covers files in the mounts with the ids
    /// `covered`; `None` if there are none. `top` is the mount of Plimsoll beneath which the copies
    /// can be put.
    pub(in crate::inject) fn of(
        root: &ContainerRoot,
        covered: &[u32],
        top: OwnedFd,
    ) -> Option<UncoveredPlan> {
        let container = Whole {
            mounts: &root.mounts,
            root: &root.path,
            later: &root.later,
        };
        let sources = lacking(container, covered).into_iter();
        let sources = sources.filter_map(|(below, mount)| {
            let top = root.top_of(mount).ok()?;
            Some((below, top.file))
        });
        let sources: Vec<_> = sources.collect();
        (!sources.is_empty()).then_some(UncoveredPlan { sources, top })
    }

    /// Mounts the copies. This process must be in the mount namespace of the container.
    pub(in crate::inject) fn mount(&self) -> nix::Result<()> {
        let tmpfs = mount::new_tmpfs(UNCOVERED_SOURCE, &OPTIONS)?;
        for (below, _) in &self.sources {
            mkdirat(&tmpfs, name(*below), Mode::S_IRWXU)?;
        }
        mount::forbid(tmpfs.as_fd(), Forbid::writes_if(true), Depth::Alone)?;
        hide(tmpfs.as_fd(), self.top.as_fd())?;
        for (below, source) in &self.sources {
            let copy = mount::clone_tree(source.as_fd(), Depth::Alone)?;
            mount::make_private(copy.as_fd())?;
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let at = openat(&tmpfs, name(*below), flags, Mode::empty())?;
            mount::attach(copy.as_fd(), at.as_fd())?;
        }
        Ok(())
    }
}

fn name(below: Below) -> &'static str {
    match below {
        Below::Proc => "proc",
        Below::Sys => "sys",
    }
}

/// Mounts `tmpfs` where a mount of Plimsoll hides it: beneath `top`, or, where the kernel refuses
/// that, on `top` and beneath a copy of `top`. The kernel refuses the first before Linux 6.5 and in a
/// container that shares its `/sys`, as of LXC, because the tmpfs would show elsewhere too.
fn hide(tmpfs: BorrowedFd<'_>, top: BorrowedFd<'_>) -> nix::Result<()> {
    mount::make_unbindable(tmpfs)?;
    if mount::attach_beneath(tmpfs, top).is_err() {
        mount::make_private(top)?;
        let copy = mount::clone_tree(top, Depth::Alone)?;
        mount::attach(tmpfs, top)?;
        mount::attach(copy.as_fd(), tmpfs)?;
    }
    mount::make_private(tmpfs)
}
