//! Pure. The kernel's rule for a new procfs or sysfs in a user namespace, from the mounts of a mount
//! namespace.

use crate::{
    base::{mountinfo::Mount, paths::FS_TYPE},
    inject::Below,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The directories of procfs and of sysfs that are always empty, on which a mount covers nothing:
/// proc_create_mount_point and sysfs_create_mount_point in the kernel.
const EMPTY_IN_PROC: [&str; 2] = ["fs/nfsd", "sys/fs/binfmt_misc"];
const EMPTY_IN_SYS: [&str; 11] = [
    "firmware/efi/efivars",
    "fs/bpf",
    "fs/cgroup",
    "fs/fuse/connections",
    "fs/pstore",
    "fs/selinux",
    "fs/smackfs",
    "kernel/config",
    "kernel/debug",
    "kernel/security",
    "kernel/tracing",
];

/// The mounts of a container: all of its mount namespace, and the way to its root.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// The mounts of the mount namespace.
    pub mounts: &'a [Mount],
    /// The path of the container's root in the mount points.
    pub root: &'a Path,
    /// The paths, as the container names them, that its runtime may still cover.
    pub later: &'a [PathBuf],
}

/// The mounts that cover a part of a mount.
#[derive(Debug, Default, Clone, Copy)]
struct Cover {
    by_ours: bool,
    by_others: bool,
}

/// Returns for each of procfs and sysfs the mount that only Plimsoll covers, if no mount of that file
/// system is uncovered. Of several such mounts, the last one. `covered` are the ids of mounts that
/// Plimsoll is about to cover.
#[must_use]
pub fn lacking<'a>(container: Whole<'a>, covered: &[u32]) -> Vec<(Below, &'a Mount)> {
    let kinds = [Below::Proc, Below::Sys].into_iter();
    let found = kinds.filter_map(|below| Some((below, only_ours(container, covered, below)?)));
    found.collect()
}

fn only_ours<'a>(container: Whole<'a>, covered: &[u32], below: Below) -> Option<&'a Mount> {
    let (kind, empty) = match below {
        Below::Proc => ("proc", EMPTY_IN_PROC.as_slice()),
        Below::Sys => ("sysfs", EMPTY_IN_SYS.as_slice()),
    };
    let is_whole = |mount: &&Mount| {
        let is_below = mount.point.starts_with(container.root);
        mount.kind == kind && mount.root == Path::new("/") && is_below
    };
    let whole = container.mounts.iter().filter(is_whole);
    let mut whole: BTreeMap<u32, (&Mount, Cover)> = whole
        .map(|mount| {
            let cover = Cover {
                by_ours: covered.contains(&mount.id),
                by_others: is_covered_later(container, mount),
            };
            (mount.id, (mount, cover))
        })
        .collect();
    for mount in container.mounts {
        let Some((outer, cover)) = whole.get_mut(&mount.parent) else {
            continue;
        };
        let at = mount.point.strip_prefix(&outer.point);
        let is_harmless = at.is_ok_and(|at| empty.iter().any(|empty| at == Path::new(empty)));
        match mount.kind == FS_TYPE {
            true => cover.by_ours = true,
            false => cover.by_others |= !is_harmless,
        }
    }
    let mut found = None;
    for (mount, cover) in whole.into_values() {
        match cover {
            Cover {
                by_others: true, ..
            } => {}
            Cover { by_ours: true, .. } => found = Some(mount),
            Cover { .. } => return None,
        }
    }
    found
}

fn is_covered_later(container: Whole<'_>, mount: &Mount) -> bool {
    let point = mount.point.strip_prefix(container.root);
    let point = Path::new("/").join(point.unwrap_or(&mount.point));
    let touches = |path: &PathBuf| path.starts_with(&point) || point.starts_with(path);
    container.later.iter().any(touches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo::parse;

    const PRIVILEGED: &str = "\
10 1 0:50 / / rw - overlay overlay rw
11 10 0:51 / /proc rw - proc proc rw
12 10 0:52 / /sys rw - sysfs sysfs rw
13 12 0:53 / /sys/fs/cgroup rw - tmpfs tmpfs rw
14 13 0:54 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw
15 11 0:55 / /proc/sys/fs/binfmt_misc rw - binfmt_misc x rw
";
    const OURS: &str = "\
20 11 0:60 /7/proc/meminfo /proc/meminfo ro - fuse.plimsoll plimsoll:/v rw
21 12 0:60 /7/sys/devices/system/cpu /sys/devices/system/cpu ro - fuse.plimsoll plimsoll:/v rw
";

    /// Returns the ids of the mounts that lack an uncovered copy.
    fn lacks(text: &str, covered: &[u32], later: &[&str]) -> Vec<u32> {
        let mounts: Vec<Mount> = parse(text).collect();
        let later: Vec<PathBuf> = later.iter().map(PathBuf::from).collect();
        let container = Whole {
            mounts: &mounts,
            root: Path::new("/"),
            later: &later,
        };
        let found = lacking(container, covered).into_iter();
        found.map(|(_, mount)| mount.id).collect()
    }

    #[test]
    fn a_container_without_masks_lacks_both_once_our_files_cover_them() {
        assert_eq!(lacks(PRIVILEGED, &[], &[]), [0; 0]);
        assert_eq!(lacks(PRIVILEGED, &[11, 12], &[]), [11, 12]);
        assert_eq!(lacks(&format!("{PRIVILEGED}{OURS}"), &[], &[]), [11, 12]);
    }

    #[test]
    fn a_file_system_that_others_cover_gets_no_uncovered_copy() {
        let masked = "30 11 0:61 /null /proc/kcore rw - devtmpfs devtmpfs rw\n\
                      31 12 0:62 / /sys/firmware ro - tmpfs tmpfs ro\n";
        assert_eq!(
            lacks(&format!("{PRIVILEGED}{masked}"), &[11, 12], &[]),
            [0; 0]
        );
        assert_eq!(lacks(PRIVILEGED, &[11, 12], &["/proc/kcore"]), [12]);
        assert_eq!(
            lacks(PRIVILEGED, &[11, 12], &["/sys/firmware", "/proc"]),
            [0; 0]
        );
        assert_eq!(lacks(PRIVILEGED, &[11, 12], &["/"]), [0; 0]);
    }

    #[test]
    fn a_container_with_an_uncovered_procfs_elsewhere_lacks_none() {
        let lxc = "40 10 0:51 / /dev/.lxc/proc rw - proc proc rw\n";
        assert_eq!(lacks(&format!("{PRIVILEGED}{lxc}"), &[11, 12], &[]), [12]);
        let part = "40 10 0:51 /sys /dev/part rw - proc proc rw\n";
        assert_eq!(lacks(&format!("{PRIVILEGED}{part}"), &[11], &[]), [11]);
    }

    #[test]
    fn a_mount_outside_of_the_root_of_a_new_container_does_not_count() {
        let text = "1 0 8:1 / / rw - ext4 x rw\n2 1 0:5 / /proc rw - proc proc rw\n\
                    3 1 0:6 / /m rw - overlay overlay rw\n4 3 0:7 / /m/proc rw - proc proc rw\n";
        let mounts: Vec<Mount> = parse(text).collect();
        let container = Whole {
            mounts: &mounts,
            root: Path::new("/m"),
            later: &[],
        };
        let found = lacking(container, &[4]);
        assert_eq!(found.first().map(|(_, mount)| mount.id), Some(4));
        let later = [PathBuf::from("/proc/sys")];
        let masked = Whole {
            later: &later,
            ..container
        };
        assert!(lacking(masked, &[4]).is_empty());
    }
}
