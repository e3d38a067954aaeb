//! Takes our mounts out of containers, or puts living ones in the place of dead ones.

use super::namespaces::{VisitedNamespace, device};
use crate::base::{
    mountinfo::Mount,
    paths::{self, CONTAINERS},
    sys::{
        self,
        mount::{self, Depth, Forbid},
    },
    units::Pid,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    mount::{MntFlags, umount2},
    sys::{stat::Mode, statfs::statfs},
};
use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

/// A file system that has not answered for so long has a daemon, which hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of one container's mounts.
#[derive(Debug)]
pub struct RepairedContainer {
    /// A process in the container.
    pub pid: Pid,
    /// How many mounts are as they should be now.
    pub mounts: usize,
    /// What stands in the way of another one.
    pub failed: Option<Errno>,
}

/// Takes the mounts of the file systems that are mounted at `points` out of every container,
/// which sees the host's files there again.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub fn remove(points: &[PathBuf]) -> io::Result<Vec<RepairedContainer>> {
    let ours: Vec<String> = points.iter().filter_map(|point| device(point)).collect();
    let is_ours = |mount: &Mount| ours.contains(&mount.device);
    each(points, is_ours, |namespace, mounts| {
        let mounts: Vec<(PathBuf, Option<OwnedFd>)> = mounts
            .iter()
            .rev()
            .filter(|mount| is_outermost(mount, mounts))
            .map(|mount| (mount.point.clone(), hosts_file(mount)))
            .collect();
        namespace.enter(|| {
            let results = mounts.iter().map(|(point, hosts)| {
                let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
                match umount2(point, flags) {
                    // A container with a user namespace of its own may not lose a mount that it
                    // was given; it may get another one on top.
                    Err(Errno::EINVAL | Errno::EPERM) => match hosts {
                        Some(hosts) => cover(hosts, point),
                        None => Err(Errno::EPERM),
                    },
                    result => result,
                }
            });
            results.collect()
        })
    })
}

/// Whether it lies in no other one of these; else it goes with that one. The way to it leads through
/// files for which nobody may answer.
fn is_outermost(mount: &Mount, among: &[Mount]) -> bool {
    let mut others = among.iter().filter(|other| other.point != mount.point);
    others.all(|other| !mount.point.starts_with(&other.point))
}

/// Puts living mounts, of the view at `mountpoint`, in the place of every dead mount of a view that
/// was there before, in every container. `points` are those of the living ones.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub fn replace_dead(mountpoint: &Path, points: &[PathBuf]) -> io::Result<Vec<RepairedContainer>> {
    let ours: Vec<String> = points.iter().filter_map(|point| device(point)).collect();
    let source = paths::mount_source(mountpoint);
    // A copy of a whole view that somebody put elsewhere is that one's own affair.
    let is_part = |mount: &Mount| mount.root != Path::new("/") || points.contains(&mount.point);
    let is_before =
        |mount: &Mount| mount.source == source && !ours.contains(&mount.device) && is_part(mount);
    let mut dead = BTreeMap::new();
    each(points, is_before, |namespace, mounts| {
        let mut found = Vec::new();
        for mount in mounts {
            let is_dead = dead
                .entry(mount.device.clone())
                .or_insert_with(|| is_dead(namespace.path(mount)));
            if *is_dead {
                let living = if points.contains(&mount.point) {
                    // A copy of the view itself.
                    copied(&mount.point, mount.is_read_only)
                } else {
                    living(mountpoint, mount)
                };
                found.push((mount.point.clone(), living));
            }
        }
        namespace.enter(|| {
            let results = found.iter().map(|(point, living)| match living {
                Ok(living) => replace(living, point),
                Err(error) => Err(*error),
            });
            results.collect()
        })
    })
}

/// Does the same with the mounts that are wanted of each namespace that has any, but for those at
/// `points` in our own.
fn each(
    points: &[PathBuf],
    is_wanted: impl Fn(&Mount) -> bool,
    mut repair: impl FnMut(&VisitedNamespace, &[Mount]) -> nix::Result<Vec<nix::Result<()>>>,
) -> io::Result<Vec<RepairedContainer>> {
    let mut repaired = Vec::new();
    for namespace in VisitedNamespace::all()? {
        let mut mounts = namespace.mounts();
        mounts.retain(|mount| {
            let is_served = namespace.is_own && points.contains(&mount.point);
            is_wanted(mount) && !is_served
        });
        if mounts.is_empty() {
            continue;
        }
        let results = repair(&namespace, &mounts).unwrap_or_else(|error| vec![Err(error)]);
        if !results.is_empty() {
            repaired.push(RepairedContainer {
                pid: namespace.pid,
                mounts: results.iter().filter(|result| result.is_ok()).count(),
                failed: results.into_iter().find_map(Result::err),
            });
        }
    }
    Ok(repaired)
}

/// Whether nobody will ever answer for that file system.
pub(super) fn is_dead(path: PathBuf) -> bool {
    sys::with_timeout(PATIENCE, move || statfs(&path).err()) == Some(Some(Errno::ENOTCONN))
}

/// Where in a view the root of a mount is: the root of the connection that serves `containers/`
/// is that directory.
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

/// The host's own file that a mount of ours stands for.
fn hosts_file(mount: &Mount) -> Option<OwnedFd> {
    let mut parts = mount.root.components();
    let path: PathBuf = loop {
        let rest = parts.as_path();
        if rest.starts_with("proc") || rest.starts_with("sys") {
            break Path::new("/").join(rest);
        }
        parts.next()?;
    };
    copied(&path, false).ok()
}

fn living(mountpoint: &Path, mount: &Mount) -> nix::Result<OwnedFd> {
    copied(&mountpoint.join(below_view(mount)), mount.is_read_only)
}

fn copied(path: &Path, is_read_only: bool) -> nix::Result<OwnedFd> {
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let tree = mount::clone_tree(file.as_fd(), Depth::Alone)?;
    mount::make_private(tree.as_fd())?;
    if is_read_only {
        let forbidden = Forbid {
            writes: true,
            ..Forbid::default()
        };
        mount::forbid(tree.as_fd(), forbidden, Depth::Alone)?;
    }
    Ok(tree)
}

fn cover(tree: &OwnedFd, point: &Path) -> nix::Result<()> {
    mount::attach(tree.as_fd(), top(point)?.as_fd())
}

fn replace(tree: &OwnedFd, point: &Path) -> nix::Result<()> {
    match mount::attach_beneath(tree.as_fd(), top(point)?.as_fd()) {
        Ok(()) => umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW),
        Err(_) => cover(tree, point),
    }
}

/// What lies on top at a point; it is not asked anything.
fn top(point: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    open(point, flags, Mode::empty())
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

    #[test]
    fn a_file_system_that_answers_or_is_not_there_is_not_dead() {
        assert!(!is_dead("/proc".into()) && !is_dead("/nowhere".into()));
    }
}
