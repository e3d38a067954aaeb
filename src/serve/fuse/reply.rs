//! Parts of a reply: attributes, TTLs, and the slice of the content that a read gets.

use crate::{
    serve::tree::{Entry, Owner},
    view::answer::MIN_PAGE_SIZE,
};
use fuser::{FileAttr, FileType, INodeNo, OpenFlags};
use std::time::{Duration, SystemTime};

/// TTL of the attributes and names that do not change in the life of a daemon.
pub(super) const PERMANENT_TTL: Duration = Duration::from_secs(3600);
/// TTL of a name that may end: that of a container, or of a file that depends on the machine.
pub(super) const REMOVABLE_TTL: Duration = Duration::from_secs(1);
/// TTL of a name that one caller sees and another does not, such as that of a CPU.
pub(super) const PER_CALLER_TTL: Duration = Duration::ZERO;

/// TTL of the attributes of a file whose size is that of its present content.
pub(super) const SIZE_TTL: Duration = Duration::from_millis(1);

// Smallest and largest block size in attributes. The kernel keeps the binary logarithm of a block
// size (`fuse_fillattr` in fs/fuse/dir.c), and a program may allocate a buffer of a whole block.
const MIN_BLOCK_SIZE: u64 = 4096;
const MAX_BLOCK_SIZE: u64 = 1 << 20;

/// Returns the block size of a file whose content has at most `max_size` bytes: the next power of
/// two, at least a page of 4096 bytes, at most 1 MiB.
///
/// coreutils (`tail -c`, `head -c -N`, `wc -c`) read a file to its end, as they do in procfs, if its
/// size is not larger than a block. Only in larger files do they seek by the size.
pub(super) fn block_size(max_size: u64) -> u32 {
    let size = max_size.clamp(MIN_BLOCK_SIZE, MAX_BLOCK_SIZE);
    u32::try_from(size.next_power_of_two()).unwrap_or(u32::MAX)
}

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

/// Room for a page of the kernel's cache, full of newlines.
pub(super) const PAGE_OF_NEWLINES: [u8; MIN_PAGE_SIZE] = [b'\n'; MIN_PAGE_SIZE];

/// Returns the content with the newlines of `page` behind its end, for a page of the kernel's cache.
/// Returns the bare content for a program that reads past the cache (`O_DIRECT` in `flags`), and if
/// the content is longer than the page.
///
/// No reader sees bytes behind the size of a file. But the kernel looks up the size apart from the
/// page, so that the reader of a file that has just grown may find the earlier page too short, and
/// gets a newline in place of a NUL.
pub(super) fn page_of<'page>(
    content: &'page [u8],
    flags: OpenFlags,
    page: &'page mut [u8; MIN_PAGE_SIZE],
) -> &'page [u8] {
    match page.get_mut(..content.len()) {
        Some(start) if flags.0 & libc::O_DIRECT == 0 => {
            start.copy_from_slice(content);
            page
        }
        _ => content,
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

/// Returns the owner of a file whose size is that of its content; `None` for any other entry.
pub(super) fn content_owner(entry: Entry) -> Option<Owner> {
    match entry {
        Entry::File(owner, file) if !file.is_in_sysfs() => Some(owner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_the_whole_content_of_all_but_the_largest_files() {
        assert_eq!(block_size(0), 4096);
        assert_eq!(block_size(4096), 4096);
        assert_eq!(block_size(12288), 16384);
        assert_eq!(block_size(u64::MAX), 1 << 20);
    }

    #[test]
    fn a_slice_ends_where_the_content_ends() {
        assert_eq!(slice(b"abc", 1, 1), b"b");
        assert_eq!(slice(b"abc", 1, 100), b"bc");
        assert_eq!(slice(b"abc", 3, 1), b"");
        assert_eq!(slice(b"abc", u64::MAX, 1), b"");
    }

    #[test]
    fn newlines_follow_the_content_in_a_page_of_the_cache_only() {
        let mut page = PAGE_OF_NEWLINES;
        let filled = page_of(b"abc", OpenFlags(libc::O_RDONLY), &mut page);
        assert_eq!(
            (filled.len(), &filled[..5]),
            (MIN_PAGE_SIZE, &b"abc\n\n"[..])
        );
        let mut page = PAGE_OF_NEWLINES;
        assert_eq!(
            page_of(b"abc", OpenFlags(libc::O_DIRECT), &mut page),
            b"abc"
        );
        let long = [b'a'; MIN_PAGE_SIZE + 1];
        assert_eq!(page_of(&long, OpenFlags(0), &mut page), long);
    }
}
