//! Pure. What the kernel is told of a file.

use fuser::{FileAttr, FileType, INodeNo};
use std::time::{Duration, SystemTime};

// For the life of a daemon attributes do not change, nor do names; what may end is a container, or
// what the machine has.
pub(super) const PERMANENT_TTL: Duration = Duration::from_secs(3600);
pub(super) const REMOVABLE_TTL: Duration = Duration::from_secs(1);
// Whether there is such a CPU differs from one caller to the next.
pub(super) const PER_CALLER_TTL: Duration = Duration::ZERO;

/// The attributes of a file of root's with that inode number, type, permission bits and size in
/// bytes, all of whose times are `time`; it has one link and takes no blocks.
#[must_use]
pub fn attributes(
    inode: INodeNo,
    (kind, perm, size): (FileType, u16, u64),
    time: SystemTime,
) -> FileAttr {
    FileAttr {
        ino: inode,
        size,
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

/// What a read of so many bytes at that offset gets of the content; nothing from its end on.
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
