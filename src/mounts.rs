//! Pure. The mounts of a mount namespace, from the lines of `/proc/PID/mountinfo`.

use std::path::{Path, PathBuf};

/// The type of our own mounts.
pub const KIND: &str = "fuse.plimsoll";

/// Where the host's daemon serves unless it is told otherwise.
pub const SERVED: &str = "/var/lib/plimsoll";

/// The source that our mounts name: which view they are of, even when its daemon is dead and the
/// view itself is mounted no more.
#[must_use]
pub fn source(view: &Path) -> String {
    format!("plimsoll:{}", view.display())
}

/// A mount (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number, which no other mount of the machine has meanwhile.
    pub id: u32,
    parent: u32,
    /// The number of the file system, as `MAJOR:MINOR`: the same wherever it is mounted.
    pub device: String,
    /// What of the file system stands at the mount point; `/` unless a part was bound.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether nothing can be written through this mount.
    pub is_read_only: bool,
    /// The group of mounts that share what is mounted on any of them, if it is in one.
    pub peers: Option<u32>,
    /// The type of the file system, its subtype included: `ext4`, `fuse.plimsoll`.
    pub kind: String,
    /// What is mounted, as whoever mounted it named that.
    pub source: String,
    /// The options of the file system.
    pub options: Vec<String>,
}

/// The mounts in `mountinfo`, in its order, which says nothing of which lies upon which; a line of
/// another shape is left out.
pub fn parse(mountinfo: &str) -> impl Iterator<Item = Mount> {
    mountinfo.lines().filter_map(|line| {
        // Optional fields end with a dash; a space inside of a field is escaped.
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        let mut filesystem = filesystem.split(' ');
        Some(Mount {
            id: mount.next()?.parse().ok()?,
            parent: mount.next()?.parse().ok()?,
            device: mount.next()?.to_owned(),
            root: unescape(mount.next()?).into(),
            point: unescape(mount.next()?).into(),
            is_read_only: mount.next()?.split(',').any(|option| option == "ro"),
            peers: mount.find_map(|field| field.strip_prefix("shared:")?.parse().ok()),
            kind: filesystem.next()?.to_owned(),
            source: unescape(filesystem.next()?),
            options: filesystem
                .next()
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
                .collect(),
        })
    })
}

// show_mountinfo in fs/proc_namespace.c writes white space, backslashes and, in a source, the sign
// of a comment as three octal digits.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\043", "#"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

/// The mounts that a path can reach: what another mount covers is not among them.
///
/// The order of the text says nothing: on some hosts `/` comes after what is mounted on it.
#[must_use]
pub fn visible(mounts: &[Mount]) -> Vec<&Mount> {
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
    let mut on_the_way = mount;
    // A text may say that mounts lie upon each other in a ring: there is no way to those.
    for _ in mounts {
        let mount = on_the_way;
        let parent = mounts
            .iter()
            .find(|other| other.id == mount.parent && other.id != mount.id);
        let Some(parent) = parent else {
            return true;
        };
        let in_the_way = |other: &Mount| {
            other.parent == parent.id
                && other.id != mount.id
                && mount.point.starts_with(&other.point)
        };
        if mounts.iter().any(in_the_way) {
            return false;
        }
        on_the_way = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_mount_is_read_with_or_without_optional_fields() {
        let text = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw\n\
                    31 24 0:27 /x /mnt/a\\040b rw - cgroup cgroup rw,cpu,cpuacct\n\
                    garbage\n";
        let found: Vec<Mount> = parse(text).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].kind, "cgroup2");
        assert_eq!(found[1].point, PathBuf::from("/mnt/a b"));
        assert_eq!(found[1].root, PathBuf::from("/x"));
        assert_eq!(found[1].source, "cgroup");
        assert_eq!(found[1].options, ["rw", "cpu", "cpuacct"]);
        assert_eq!(found[1].device, "0:27");
        assert!(!found[1].is_read_only);
        assert_eq!((found[0].peers, found[1].peers), (Some(9), None));
    }

    const COVERED: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
42 27 0:40 / /mnt rw - nfs4 server:/x rw
43 42 8:3 / /mnt rw - ext4 /dev/sda3 rw
48 42 8:4 / /mnt/hidden rw - ext4 /dev/sda4 rw
";

    #[test]
    fn a_mount_that_another_covers_is_not_visible() {
        let mounts: Vec<Mount> = parse(COVERED).collect();
        let kinds: Vec<_> = visible(&mounts)
            .into_iter()
            .filter(|mount| mount.point.starts_with("/mnt"))
            .map(|mount| mount.kind.as_str())
            .collect();
        assert_eq!(kinds, ["ext4"]);
    }

    #[test]
    fn mounts_that_lie_upon_each_other_in_a_ring_are_not_visible() {
        let ring = "1 3 0:1 / /a rw - a a rw\n2 1 0:1 / /b rw - b b rw\n3 2 0:1 / /c rw - c c rw\n";
        let mounts: Vec<Mount> = parse(ring).collect();
        assert_eq!(visible(&mounts), Vec::<&Mount>::new());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse(&text).count();
        }
    }
}
