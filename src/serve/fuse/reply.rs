//! Parts of a reply: attributes, TTLs, and the slice of the content that a read gets.

use fuser::{FileAttr, FileType, INodeNo};
use std::time::{Duration, SystemTime};

/// TTL of the attributes and names that do not change in the life of a daemon.
pub(super) const PERMANENT_TTL: Duration = Duration::from_secs(3600);
/// TTL of a name that may end: that of a container, or of a file that depends on the machine.
pub(super) const REMOVABLE_TTL: Duration = Duration::from_secs(1);
/// TTL of a name that one caller sees and another does not, such as that of a CPU.
pub(super) const PER_CALLER_TTL: Duration = Duration::ZERO;

/// Builds the attributes of an empty file of root's, whose times are all `time`. The file has one
/// link and no blocks, and is readable for every user: mode 555 for a directory, 777 for a link,
/// else 444.
#[must_use]
pub fn attributes(inode: INodeNo, kind: FileType, time: SystemTime) -> FileAttr {
    let perm = match kind {
        FileType::Directory => 0o555,
        FileType::Symlink => 0o777,
        _ => 0o444,
    };
    FileAttr {
        ino: inode,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// Returns the part of the content that a read of `size` bytes at that offset gets; empty from the
/// end of the content on.
#[must_use]
pub fn slice(content: &[u8], offset: u64, size: u32) -> &[u8] {
    let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
    let rest = content.get(start..).unwrap_or_default();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    rest.get(..size).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_where_the_content_ends() {
        assert_eq!(slice(b"abc", 1, 1), b"b");
        assert_eq!(slice(b"abc", 1, 100), b"bc");
        assert_eq!(slice(b"abc", 3, 1), b"");
        assert_eq!(slice(b"abc", u64::MAX, 1), b"");
    }
}
