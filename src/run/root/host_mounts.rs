//! Pure. The mounts of the host that a container's root shows.

use std::path::{Path, PathBuf};

use crate::base::mountinfo::{Mount, visible};

/// The directories of the host that a container does not show: its own take their place, or the
/// container may not see them.
const EXCLUDED_DIRS: &[&str] = &["/proc", "/sys", "/dev", "/run"];

/// The file system types that a container does not show: the kernel's own, volatile ones, and those
/// whose files already stand elsewhere.
const EXCLUDED_TYPES: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// Returns the mount points below `/` that a container on the host's root shows, parents first.
/// Leaves out every mount point below a path of `hidden`.
pub(crate) fn shown_mounts(mounts: &[Mount], hidden: &[&Path]) -> Vec<PathBuf> {
    let own = |point: &Path| EXCLUDED_DIRS.iter().any(|own| point.starts_with(own));
    let mut points: Vec<PathBuf> = visible(mounts)
        .into_iter()
        .filter(|mount| mount.point != Path::new("/") && !own(&mount.point))
        .filter(|mount| !hidden.iter().any(|hidden| mount.point.starts_with(hidden)))
        .filter(|mount| !EXCLUDED_TYPES.contains(&mount.kind.as_str()))
        .filter(|mount| !mount.kind.starts_with("fuse."))
        .map(|mount| mount.point.clone())
        .collect();
    points.sort();
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo::parse;

    const HOST: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
40 27 8:1 / /home rw - ext4 /dev/sda1 rw
41 40 8:2 / /home/a\\040b rw - xfs /dev/sda2 rw
42 27 0:40 / /mnt rw - nfs4 server:/x rw
43 42 8:3 / /mnt rw - ext4 /dev/sda3 rw
48 42 8:4 / /mnt/hidden rw - ext4 /dev/sda4 rw
45 27 0:41 / /var/lib/plimsoll ro - fuse.plimsoll plimsoll ro
46 27 0:42 / /tmp rw - tmpfs tmpfs rw
47 27 0:43 / /work rw - virtiofs work rw
";

    #[test]
    fn a_container_shows_the_hosts_disks_and_nothing_of_the_kernels() {
        let points = shown_mounts(&parse(HOST).collect::<Vec<_>>(), &[]);
        let shown: Vec<&str> = points.iter().filter_map(|p| p.to_str()).collect();
        assert_eq!(shown, ["/home", "/home/a b", "/mnt", "/work"]);
    }

    #[test]
    fn what_is_hidden_is_not_carried() {
        let points = shown_mounts(&parse(HOST).collect::<Vec<_>>(), &[Path::new("/home")]);
        assert!(!points.iter().any(|p| p.starts_with("/home")), "{points:?}");
    }
}
