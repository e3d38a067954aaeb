//! The run of one request: its identity, panic guard, and the file that the request is about.

use crate::base::{
    metrics,
    units::{Key, Tid},
};
use crate::serve::{
    tree::{CachedEntry, Entry, Owner},
    wire::{Side, Work},
};
use fuser::{INodeNo, Request};
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    /// Inode number in the latest request of this thread.
    static INODE: Cell<u64> = const { Cell::new(0) };
}

/// Returns the identity of a request about the inode.
pub(super) fn work(side: Side, request: &Request, inode: INodeNo) -> Work {
    Work {
        side,
        unique: request.unique().0,
        inode: inode.0,
        tid: Tid(request.pid()),
        key: None,
    }
}

/// Returns the file in the latest request of this thread, with its container, for a log.
fn current_file() -> String {
    file_of(INODE.get())
}

/// Returns the file with that inode number, with its container, for a log.
pub(super) fn file_of(inode: u64) -> String {
    match Entry::from_inode(inode) {
        Some(entry @ (Entry::File(owner, _) | Entry::System(owner, _))) => match owner {
            Owner::Container(key) => format!("{} of container {key}", entry.path()),
            Owner::Caller => entry.path(),
        },
        Some(entry) => entry.path(),
        None => format!("inode {inode}"),
    }
}

/// Records the inode number in the request of this thread.
pub(super) fn set_inode(inode: u64) {
    INODE.set(inode);
}

/// Runs the handler of one request. A panic costs that request alone: the reply, which was moved
/// into the handler, sends EIO on drop.
pub(super) fn guarded(handler: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(handler)).is_err() {
        metrics::PANICS.count();
        tracing::error!(
            file = current_file(),
            "a request panicked and was answered EIO"
        );
    }
}

/// Returns the container whose own file or directory a request is about.
pub(super) fn owner(work: Work) -> Option<Key> {
    let entry = match work.side {
        Side::Direct => Entry::from_inode(work.inode)?,
        Side::Cached => match CachedEntry::from_inode(work.inode)? {
            CachedEntry::Served(entry) | CachedEntry::DirectLink(entry) => entry,
            CachedEntry::Root | CachedEntry::SelfLink => return None,
        },
    };
    match entry.owner()? {
        Owner::Container(key) => Some(key),
        Owner::Caller => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::{
        fuse::{attributes, reply::PERMANENT_TTL},
        wire::{Connection, Side},
    };
    use fuser::{Errno, FileHandle, Filesystem, INodeNo, ReplyAttr, ReplyEntry, Request};
    use std::{ffi::OsStr, time::SystemTime};

    /// A file system that panics on a lookup of `bad`.
    struct Panicking;

    impl Filesystem for Panicking {
        fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
            guarded(|| {
                assert_ne!(name, "bad");
                reply.error(Errno::ENXIO);
            });
        }

        fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
            let root = attributes(inode, fuser::FileType::Directory, SystemTime::now());
            guarded(|| reply.attr(&PERMANENT_TTL, &root));
        }
    }

    #[test]
    #[ignore = "needs root and /dev/fuse"]
    fn a_request_that_panics_costs_its_caller_eio_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let mut connection = Connection::begin(Side::Direct, place.path()).unwrap();
        let session = connection.session(Panicking, 1).unwrap();
        std::thread::spawn(|| session.run());
        let before = metrics::PANICS.value();
        let errno = |name| {
            let asked = std::fs::metadata(place.path().join(name));
            asked.unwrap_err().raw_os_error()
        };
        for _ in 0..3 {
            assert_eq!(errno("bad"), Some(libc::EIO));
            assert_eq!(errno("good"), Some(libc::ENXIO));
        }
        assert_eq!(metrics::PANICS.value(), before + 3);
    }
}
