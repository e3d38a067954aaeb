//! Puts mounts of a living view in the place of dead ones.

use super::{
    dead::DeadDevices,
    each::each,
    namespaces::device,
    outermost::{Outermost, outermost},
    report::RepairResult,
};
use crate::{
    base::{
        mountinfo::Mount,
        paths::{self, CONTAINERS},
        sys::{chain, mount::Forbid},
    },
    inject::{detached, namespace::MountNamespace, target::MountTarget},
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::stat::Mode,
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

/// The time for all containers, which read dead files meanwhile.
const REPLACE_TIMEOUT: Duration = Duration::from_secs(60);

/// Puts mounts of the view at `mountpoint` in the place of every dead mount of a view that was there
/// before, in every container. `points` are the mount points of the living view.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub(super) fn replace_dead(mountpoint: &Path, points: &[PathBuf]) -> io::Result<RepairResult> {
    let living: Vec<String> = points.iter().filter_map(|point| device(point)).collect();
    let source = paths::mount_source(mountpoint);
    let is_wanted = |mount: &Mount| {
        // A copy of a whole view at another path was not mounted by Plimsoll, so it stays.
        let is_part = mount.root != Path::new("/") || points.contains(&mount.point);
        mount.source == source && !living.contains(&mount.device) && is_part
    };
    let view = LivingView {
        mountpoint: mountpoint.to_owned(),
        points: points.to_owned(),
    };
    each(
        points,
        REPLACE_TIMEOUT,
        is_wanted,
        |namespace, mounts, dead| replace_in(namespace, mounts, &view, dead),
    )
}

/// A place at which a mount is replaced.
struct Place<'a> {
    target: MountTarget<'a>,
    tree: OwnedFd,
    /// The mounts within, each with its path below this one.
    within: Vec<(&'a Path, nix::Result<OwnedFd>)>,
}

fn replace_in(
    namespace: &MountNamespace,
    mounts: &[Mount],
    view: &LivingView,
    dead: &DeadDevices,
) -> Vec<Result<usize, String>> {
    let dead = dead.among(namespace, mounts);
    let mut results = Vec::new();
    let mut places = Vec::new();
    for outer in outermost(&dead) {
        match place(namespace, &outer, view) {
            Ok(place) => places.push(place),
            Err(error) => results.push(Err(error)),
        }
    }
    if places.is_empty() {
        return results;
    }
    if let Err(error) = namespace.enter() {
        return vec![Err(chain(&error))];
    }
    for place in places {
        results.extend(place.replace(namespace));
    }
    results
}

fn place<'a>(
    namespace: &'a MountNamespace,
    outer: &Outermost<'a>,
    view: &LivingView,
) -> Result<Place<'a>, String> {
    let mount = outer.mount;
    let root = &namespace.root;
    let target = root.top_of(mount).map_err(|error| chain(&error))?;
    let target = root.must_be_alone(target, root.below(mount));
    let within = outer.within.iter().filter_map(|inner| {
        let path = inner.point.strip_prefix(&mount.point).ok()?;
        Some((path, view.living(inner)))
    });
    Ok(Place {
        target: target.map_err(|error| chain(&error))?,
        tree: view.living(mount).map_err(|error| failed(mount, error))?,
        within: within.collect(),
    })
}

fn failed(mount: &Mount, error: Errno) -> String {
    format!("cannot replace {}: {}", mount.point.display(), error.desc())
}

impl Place<'_> {
    fn replace(&self, namespace: &MountNamespace) -> Vec<Result<usize, String>> {
        let mount = self.target.mount;
        if let Err(error) = self.target.replace(self.tree.as_fd(), &namespace.fds) {
            return vec![Err(failed(mount, error))];
        }
        let within = self.within.iter().map(|(path, tree)| {
            let put = tree
                .as_ref()
                .map_err(|error| *error)
                .and_then(|tree| detached::cover_within(self.tree.as_fd(), path, tree.as_fd()));
            put.map(|()| 1).map_err(|error| failed(mount, error))
        });
        [Ok(1)].into_iter().chain(within).collect()
    }
}

/// The view that is served now.
#[derive(Debug)]
struct LivingView {
    mountpoint: PathBuf,
    points: Vec<PathBuf>,
}

impl LivingView {
    /// Returns a detached copy of the living file that `mount` showed.
    fn living(&self, mount: &Mount) -> nix::Result<OwnedFd> {
        // A mount at a point of the view is a copy of the view itself.
        let path = match self.points.contains(&mount.point) {
            true => mount.point.clone(),
            false => self.mountpoint.join(below_view(mount)),
        };
        let file = open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        detached::copy(&file, Forbid::writes_if(mount.is_read_only))
    }
}

/// Returns the path in a view of the root of a mount: the root of the connection that serves
/// `containers/` is that directory.
fn below_view(mount: &Mount) -> PathBuf {
    let below = mount.root.strip_prefix("/").unwrap_or(&mount.root);
    let first = below.components().next();
    let first = first.and_then(|first| first.as_os_str().to_str());
    if first.is_some_and(|first| first.parse::<u64>().is_ok()) {
        Path::new(CONTAINERS).join(below)
    } else {
        below.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(root: &str) -> Mount {
        let line = format!("30 24 0:26 {root} /proc/meminfo ro - fuse.plimsoll plimsoll rw\n");
        crate::base::mountinfo::parse(&line).next().unwrap()
    }

    #[test]
    fn a_mount_is_found_again_in_another_view() {
        for (root, below) in [
            ("/proc/meminfo", "proc/meminfo"),
            ("/containers/7/proc/stat", "containers/7/proc/stat"),
            ("/7/proc/stat", "containers/7/proc/stat"),
            ("/", ""),
        ] {
            assert_eq!(below_view(&mount(root)), Path::new(below), "{root}");
        }
    }
}
