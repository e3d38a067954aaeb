//! Pure. What the kernel is told of a file.

use fuser::{FileAttr, FileType, INodeNo};
use std::time::SystemTime;

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
