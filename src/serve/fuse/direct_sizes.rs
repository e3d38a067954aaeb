//! The sizes of the files of procfs on the direct connection.
//!
//! procfs states a size of 0, and its files cannot be read by sendfile(2) if FUSE states the same:
//! the kernel sees the end of the file (`filemap_splice_read` in mm/filemap.c), and busybox `cat`
//! prints nothing. A size that is too large is no better: `tail -c` of busybox and `seek(-5, 2)` find
//! no byte, and `tar` fills with NUL. So the size is the exact one of the present content.
//!
//! | tree | size of | TTL |
//! |---|---|---|
//! | shared | the content for the thread that asks | 0: the next thread may be another container's |
//! | a container's own | the content of the container | 1 ms, as on the cached connection |

use super::{
    direct::Direct,
    reply::{PERMANENT_TTL, SIZE_TTL, content_owner},
};
use crate::{
    base::units::Tid,
    serve::tree::{Entry, Owner},
};
use fuser::{Errno, FileAttr, FileHandle, INodeNo};
use std::time::Duration;

impl Direct {
    /// Returns the attributes of an entry for the thread `tid`, and their TTL.
    ///
    /// `handle` is that of lseek(2) with SEEK_END: the open file gets the content whose size is
    /// returned, so that the reads after it are of the same content. An error of the content is the
    /// reader's; here it leaves the maximum of the size.
    pub(super) fn attributes(
        &self,
        entry: Entry,
        handle: Option<FileHandle>,
        tid: Tid,
    ) -> (Duration, FileAttr) {
        let constant = self.0.attributes(entry);
        let Some(owner) = content_owner(entry) else {
            return (PERMANENT_TTL, constant);
        };
        let content = match handle {
            Some(handle) => self.read_file(INodeNo(entry.inode()), handle, tid, 0).ok(),
            None => {
                let max_age = self.0.answers.max_age();
                let caller = self.0.caller(owner, tid).ok();
                caller.and_then(|caller| self.0.content_for(entry, &caller, max_age).ok())
            }
        };
        let size = content.and_then(|content| u64::try_from(content.len()).ok());
        let ttl = match owner {
            Owner::Caller => Duration::ZERO,
            Owner::Container(_) => SIZE_TTL,
        };
        let size = size.unwrap_or(constant.size);
        (ttl, FileAttr { size, ..constant })
    }

    /// Returns the offset to which lseek(2) with SEEK_DATA or SEEK_HOLE leads: that of a file without
    /// holes in sysfs (`generic_file_llseek`), EINVAL in procfs (`seq_lseek`).
    ///
    /// With an offset in procfs, `cp` would copy no more bytes than the size.
    pub(super) fn seek(&self, entry: Entry, offset: i64, whence: i32) -> Result<i64, Errno> {
        if content_owner(entry).is_some() {
            return Err(Errno::EINVAL);
        }
        let size = i64::try_from(self.0.attributes(entry).size).unwrap_or(i64::MAX);
        match whence {
            _ if !(0..size).contains(&offset) => Err(Errno::ENXIO),
            libc::SEEK_DATA => Ok(offset),
            libc::SEEK_HOLE => Ok(size),
            _ => Err(Errno::EINVAL),
        }
    }
}
