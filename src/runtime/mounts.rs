//! Pure. The host's mounts, by the text of /proc/self/mountinfo, and which of them a container's root shows.

use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    id: u32,
    parent: u32,
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// The kind of its file system.
    pub(crate) kind: String,
    /// The options of its file system, separated by commas.
    pub(crate) options: String,
}

/// Every mount of the text (`Documentation/filesystems/proc.rst`, 3.5); lines of no such shape are left out.
pub(crate) fn parse(text: &str) -> Vec<Mount> {
    let line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let mut right = right.split(' ');
        Some(Mount {
            id: left.first()?.parse().ok()?,
            parent: left.get(1)?.parse().ok()?,
            point: PathBuf::from(unescaped(left.get(4)?)),
            kind: right.next()?.to_owned(),
            options: right.nth(1).unwrap_or_default().to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits (`seq_path`).
fn unescaped(text: &str) -> String {
    let mut plain = text.to_owned();
    for (code, character) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        plain = plain.replace(code, character);
    }
    plain
}

/// The mounts that a path can reach: what another mount covers is not among them.
///
/// The order of the text says nothing: on some hosts `/` comes after what is mounted on it.
pub(crate) fn visible(mounts: &[Mount]) -> Vec<&Mount> {
    let covered = |mount: &&Mount| {
        let on = |other: &Mount| other.parent == mount.id && other.point == mount.point;
        mounts.iter().any(on)
    };
    let reached = |mount: &&Mount| is_reached(mount, mounts);
    let mounts = mounts.iter();
    mounts.filter(|m| !covered(m)).filter(reached).collect()
}

/// Whether no other mount lies on the way from the root to this one's mount point.
fn is_reached(mount: &Mount, mounts: &[Mount]) -> bool {
    let parent = mounts
        .iter()
        .find(|other| other.id == mount.parent && other.id != mount.id);
    let Some(parent) = parent else {
        return true;
    };
    let in_the_way = |other: &&Mount| {
        other.parent == parent.id && other.id != mount.id && mount.point.starts_with(&other.point)
    };
    !mounts.iter().any(|other| in_the_way(&other)) && is_reached(parent, mounts)
}

/// Directories of the host that a container has of its own, or may not see.
const OWN: &[&str] = &["/proc", "/sys", "/dev", "/run"];

/// File systems whose files are no part of the host's root: the kernel's, volatile ones, and
/// those that show files which are elsewhere already.
const LEFT_OUT: &[&str] = &[
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

/// The mounts below `/` that a container on the host's root shows, each after the one it lies in.
pub(crate) fn carried(mounts: &[Mount], hidden: &[&Path]) -> Vec<PathBuf> {
    let own = |point: &Path| OWN.iter().any(|own| point.starts_with(own));
    let mut points: Vec<PathBuf> = visible(mounts)
        .into_iter()
        .filter(|mount| mount.point != Path::new("/") && !own(&mount.point))
        .filter(|mount| !hidden.iter().any(|hidden| mount.point.starts_with(hidden)))
        .filter(|mount| !LEFT_OUT.contains(&mount.kind.as_str()))
        .filter(|mount| !mount.kind.starts_with("fuse."))
        .map(|mount| mount.point.clone())
        .collect();
    points.sort();
    points
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let points = carried(&parse(HOST), &[]);
        let shown: Vec<&str> = points.iter().filter_map(|p| p.to_str()).collect();
        assert_eq!(shown, ["/home", "/home/a b", "/mnt", "/work"]);
    }

    #[test]
    fn what_is_hidden_is_not_carried() {
        let points = carried(&parse(HOST), &[Path::new("/home")]);
        assert!(!points.iter().any(|p| p.starts_with("/home")), "{points:?}");
    }

    #[test]
    fn a_mount_that_another_covers_is_not_visible() {
        let mounts = parse(HOST);
        let kinds: Vec<_> = visible(&mounts)
            .into_iter()
            .filter(|mount| mount.point.starts_with("/mnt"))
            .map(|mount| mount.kind.as_str())
            .collect();
        assert_eq!(kinds, ["ext4"]);
    }

    #[test]
    fn options_are_those_of_the_file_system() {
        let mounts = parse("36 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n");
        assert_eq!(mounts[0].options, "rw,pids");
    }
}
