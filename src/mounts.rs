//! Pure. The mounts of a mount namespace, from the lines of `/proc/PID/mountinfo`.

use std::path::PathBuf;

/// A mount (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What of the file system stands at the mount point; `/` unless a part was bound.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type of the file system, its subtype included: `ext4`, `fuse.plimsoll`.
    pub kind: String,
    /// The options of the file system.
    pub options: Vec<String>,
}

/// The mounts in `mountinfo`, in the order they were made; a line of another shape is left out.
///
/// Of mounts on one point the last is the one that is seen.
pub fn parse(mountinfo: &str) -> impl Iterator<Item = Mount> {
    mountinfo.lines().filter_map(|line| {
        // Optional fields end with a dash; a space inside of a field is escaped.
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut filesystem = filesystem.split(' ');
        Some(Mount {
            root: unescape(mount.next()?).into(),
            point: unescape(mount.next()?).into(),
            kind: filesystem.next()?.to_owned(),
            options: filesystem
                .nth(1)
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
                .collect(),
        })
    })
}

// mangle_path in fs/seq_file.c writes white space and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
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
        assert_eq!(found[1].options, ["rw", "cpu", "cpuacct"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse(&text).count();
        }
    }
}
