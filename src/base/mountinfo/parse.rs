//! Pure. The mounts of a mount namespace, from the lines of `/proc/PID/mountinfo`.

use std::os::unix::ffi::OsStringExt;
use std::{ffi::OsString, path::PathBuf};

/// A mount (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The id of the mount, unique on the machine while the mount exists.
    pub id: u32,
    /// The id of the mount on which this one lies.
    pub parent: u32,
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

/// A line of a `mountinfo` file. Its fields are still escaped and not copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct MountLine<'a> {
    pub(super) id: u32,
    pub(super) parent: u32,
    pub(super) point: &'a [u8],
    device: &'a [u8],
    root: &'a [u8],
    /// The options of the mount, the optional fields, and the fields of the file system.
    rest: &'a [u8],
}

impl<'a> MountLine<'a> {
    /// Splits the lines of a `mountinfo` file and skips every line of another shape.
    pub(super) fn all(mountinfo: &'a [u8]) -> impl Iterator<Item = MountLine<'a>> {
        mountinfo
            .split(|byte| *byte == b'\n')
            .filter_map(MountLine::parse)
    }

    fn parse(line: &'a [u8]) -> Option<MountLine<'a>> {
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let mut field = || fields.next();
        let line = MountLine {
            id: number(field()?)?,
            parent: number(field()?)?,
            device: field()?,
            root: field()?,
            point: field()?,
            rest: field()?,
        };
        // A line without type and source names no mount.
        line.filesystem().nth(1).map(|_| line)
    }

    /// Returns whether the file system has the type `kind`.
    pub(super) fn is_of(&self, kind: &str) -> bool {
        self.filesystem().next() == Some(kind.as_bytes())
    }

    /// Returns the fields of the file system: its type, the source and the options.
    fn filesystem(&self) -> impl Iterator<Item = &'a [u8]> {
        // A dash ends the optional fields; a space within a field is escaped.
        let fields = self.rest.split(|byte| *byte == b' ');
        fields.skip_while(|field| *field != b"-").skip(1)
    }

    /// Returns the options of the mount, and after them the optional fields.
    fn own(&self) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.rest.split(|byte| *byte == b' ');
        fields.take_while(|field| *field != b"-")
    }

    /// Returns the peer group, for a shared mount.
    fn peers(&self) -> Option<u32> {
        let mut optional = self.own().skip(1);
        optional.find_map(|field| number(field.strip_prefix(b"shared:")?))
    }

    /// Copies the fields.
    pub(super) fn mount(&self) -> Mount {
        let mut filesystem = self.filesystem();
        let mut field = || filesystem.next().unwrap_or_default();
        let is_read_only = self
            .own()
            .next()
            .is_some_and(|options| options.split(|byte| *byte == b',').any(|one| one == b"ro"));
        Mount {
            id: self.id,
            parent: self.parent,
            device: text(self.device),
            root: path(self.root),
            point: path(self.point),
            is_read_only,
            peers: self.peers(),
            kind: text(field()),
            source: text(field()),
            options: text(field()).split(',').map(str::to_owned).collect(),
        }
    }
}

/// Parses the lines of a `mountinfo` file and skips every line of another shape. A path may hold
/// any bytes.
///
/// The order of the mounts does not show which mount covers which.
pub fn parse(mountinfo: &(impl AsRef<[u8]> + ?Sized)) -> impl Iterator<Item = Mount> {
    MountLine::all(mountinfo.as_ref()).map(|line| line.mount())
}

/// Parses the lines of a `mountinfo` file as [`parse`] does, and skips every mount of another file
/// system type than `kind`.
pub fn parse_kind(mountinfo: &[u8], kind: &str) -> impl Iterator<Item = Mount> {
    let lines = MountLine::all(mountinfo).filter(move |line| line.is_of(kind));
    lines.map(|line| line.mount())
}

/// Parses the peer groups in the lines of a `mountinfo` file.
pub fn parse_peers(mountinfo: &[u8]) -> impl Iterator<Item = u32> {
    MountLine::all(mountinfo).filter_map(|line| line.peers())
}

fn number(field: &[u8]) -> Option<u32> {
    str::from_utf8(field).ok()?.parse().ok()
}

fn path(field: &[u8]) -> PathBuf {
    OsString::from_vec(unescape(field)).into()
}

/// Converts a field that is no path.
fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

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

    proptest! {
        #[test]
        fn a_line_that_is_not_understood_costs_only_itself(odd in "[^0-9\\n]{0,40}", at in 0usize..3) {
            let mut lines = vec![
                "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw",
                "31 24 0:27 /x /mnt/a\\040b rw - cgroup cgroup rw,cpu",
            ];
            let expected: Vec<Mount> = parse(&lines.join("\n")).collect();
            lines.insert(at, &odd);
            prop_assert_eq!(parse(&lines.join("\n")).collect::<Vec<Mount>>(), expected);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<Vec<u8>>(), line in any::<String>()) {
            let _ = parse(&text).count();
            let _ = parse(&format!("1 2 0:3 / {line} - {line}")).count();
        }
    }
}
