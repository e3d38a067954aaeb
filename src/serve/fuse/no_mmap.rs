//! The refusal of mmap(2) for the files of the direct connection, as procfs and sysfs refuse it.
//!
//! The kernel would fill a mapped page by a READ into the page cache, which belongs to the inode: the
//! next container's mapping would show these bytes. The daemon refuses such a READ, and the program
//! would get SIGBUS. So that mmap(2) fails instead, each open file has a backing file that cannot be
//! mapped. The kernel asks the backing file for the mapping (`fuse_file_mmap` in `fs/fuse/file.c`),
//! but sends every read, write and poll to the daemon, because `FOPEN_DIRECT_IO` comes first.
//!
//! | kernel | mmap(2) | a mapped page |
//! |---|---|---|
//! | 6.9 and later | ENODEV | - |
//! | earlier, or without `CONFIG_FUSE_PASSTHROUGH` | ENODEV if shared; a private mapping succeeds | SIGBUS |

use crate::base::{
    state::{Kind, Store},
    sys,
};
use fuser::{FileHandle, FopenFlags, ReplyOpen};
use std::{
    fs::File,
    io,
    os::fd::AsFd,
    sync::{Arc, OnceLock},
};

/// The backing file. sysfs refuses to map it. It can be opened for writing like a pressure file, but
/// the kernel sends no write there.
const BACKING: &str = "/sys/module/fuse/parameters/max_user_bgreq";
/// The key of the only entry of its kind.
const KEY: u64 = 0;
const FLAGS: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_NOFLUSH);

/// The backing file of all open files of the direct connection. All opens of an inode must have the
/// same one (`fuse_inode_uncached_io_start` in `fs/fuse/iomode.c`), also across daemons.
#[derive(Debug)]
pub(super) struct NoMmap {
    /// The number of the backing file; `None` where the kernel takes none.
    backing: OnceLock<Option<u32>>,
    store: Arc<Store>,
}

impl NoMmap {
    pub(super) fn new(store: Arc<Store>) -> NoMmap {
        NoMmap {
            backing: OnceLock::new(),
            store,
        }
    }

    /// Replies with an open file that cannot be mapped.
    pub(super) fn reply(&self, reply: ReplyOpen, handle: FileHandle) {
        match self.backing.get_or_init(|| self.backing(&reply)) {
            Some(backing) => sys::reply_with_backing(reply, handle, FLAGS, *backing),
            None => reply.opened(handle, FLAGS),
        }
    }

    /// Returns the number of the backing file: the one of the daemon before this one, or a new one.
    fn backing(&self, reply: &ReplyOpen) -> Option<u32> {
        if let Some(record) = self.store.get(Kind::Backing, KEY) {
            return Some(u32::from_le_bytes(record.try_into().ok()?)).filter(|known| *known != 0);
        }
        let number = match register(reply) {
            Ok(number) => number,
            Err(error) => {
                tracing::debug!(%error, "files of the direct connection can be mapped");
                0
            }
        };
        // Before the first reply: a successor takes the same decision for the same inodes.
        self.store.put(Kind::Backing, KEY, &number.to_le_bytes());
        Some(number).filter(|known| *known != 0)
    }
}

fn register(reply: &ReplyOpen) -> io::Result<u32> {
    // Where the daemon may not write to the file, an open of a pressure file for writing would fail.
    let file = File::options().read(true).write(true).open(BACKING)?;
    sys::register_backing(reply, file.as_fd())
}
