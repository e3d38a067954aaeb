//! Pure. The mounts of a mount namespace, from the lines of `/proc/PID/mountinfo`.

use std::os::unix::ffi::OsStringExt;
use std::{ffi::OsString, path::PathBuf};

/// A mount (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The id of the mount, unique on the machine while the mount exists.
    pub id: u32,
    parent: u32,
    /// The device number of the file system, as `MAJOR:MINOR`: the same for each of its mounts.
    pub device: String,
    /// The directory or file of the file system that is mounted: `/` unless a part was bound.
    pub root: PathBuf,
    /// The mount point.
    pub point: PathBuf,
    /// True when the mount forbids writes.
    pub is_read_only: bool,
    /// The peer group, for a shared mount.
    pub peers: Option<u32>,
    /// The type of the file system, its subtype included: `ext4`, `fuse.plimsoll`.
    pub kind: String,
    /// The source, as the program that made the mount gave it.
    pub source: String,
    /// The options of the file system.
    pub options: Vec<String>,
}

/// Parses the lines of a `mountinfo` file and skips every line of another shape. A path may hold
/// any bytes.
///
/// The order of the mounts does not show which mount covers which.
pub fn parse(mountinfo: &(impl AsRef<[u8]> + ?Sized)) -> impl Iterator<Item = Mount> {
    let lines = mountinfo.as_ref().split(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        // A dash ends the optional fields; a space within a field is escaped.
        let dash = line.windows(3).position(|three| three == b" - ")?;
        let fields = |line: &'_ [u8]| -> Vec<Vec<u8>> {
            line.split(|byte| *byte == b' ').map(unescape).collect()
        };
        let mut mount = fields(line.get(..dash)?).into_iter();
        let mut filesystem = fields(line.get(dash + 3..)?).into_iter().map(text);
        Some(Mount {
            id: text(mount.next()?).parse().ok()?,
            parent: text(mount.next()?).parse().ok()?,
            device: text(mount.next()?),
            root: OsString::from_vec(mount.next()?).into(),
            point: OsString::from_vec(mount.next()?).into(),
            is_read_only: text(mount.next()?).split(',').any(|option| option == "ro"),
            peers: mount.find_map(|field| text(field).strip_prefix("shared:")?.parse().ok()),
            kind: filesystem.next()?,
            source: filesystem.next()?,
            options: filesystem
                .next()
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
                .collect(),
        })
    })
}

/// Converts a field that is no path.
fn text(field: Vec<u8>) -> String {
    String::from_utf8_lossy(&field).into_owned()
}

/// Removes the escapes of a field: show_mountinfo in fs/proc_namespace.c writes white space,
/// backslashes and, in a source, `#` as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = (*first == b'\\').then(|| behind.first_chunk().and_then(octal));
        let (byte, behind) = match escaped.flatten() {
            Some(byte) => (byte, behind.get(3..).unwrap_or_default()),
            None => (*first, behind),
        };
        plain.push(byte);
        rest = behind;
    }
    plain
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    let digits = digits.iter().map(|digit| match digit {
        b'0'..=b'7' => Some(digit - b'0'),
        _ => None,
    });
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let add = |number: u8, digit: &u8| number.checked_mul(8)?.checked_add(*digit);
    digits.iter().try_fold(0, add)
}

/// Returns the mounts that a path can reach, which no other mount covers.
///
/// The function ignores the order of the mounts: on some hosts `/` comes after the mounts on `/`.
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

/// Returns true when no mount covers a directory between the root and the mount point.
fn is_reached(mount: &Mount, mounts: &[Mount]) -> bool {
    let mut on_the_way = mount;
    // The loop is bounded, for a text may describe a ring of mounts, which no path can reach.
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

    #[test]
    fn a_path_of_any_bytes_is_read_as_it_is() {
        let line = b"31 24 0:27 / /mnt/\xff\\040\\134040\\012\\x rw - ext4 /dev/\xff\\043 rw\n";
        let mount = parse(line).next().unwrap();
        let point = OsString::from_vec(b"/mnt/\xff \\040\n\\x".to_vec());
        assert_eq!(mount.point, PathBuf::from(point));
        assert_eq!(mount.source, "/dev/\u{fffd}#");
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
        fn no_text_makes_the_parser_panic(text in any::<Vec<u8>>(), line in any::<String>()) {
            let _ = parse(&text).count();
            let _ = parse(&format!("1 2 0:3 / {line} - {line}")).count();
        }
    }
}
