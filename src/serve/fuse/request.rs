//! The run of one request: the gate, the panic guard, and the file that the request is about.

use crate::base::metrics;
use crate::serve::{
    tree::{Entry, Owner},
    wire::GATE,
};
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    /// The inode that this thread's last request was about.
    static AT: Cell<u64> = const { Cell::new(0) };
}

/// The file that this thread's last request was about and whose it is, for a log.
pub(super) fn at_work() -> String {
    match Entry::from_inode(AT.get()) {
        Some(entry @ (Entry::File(owner, _) | Entry::System(owner, _))) => match owner {
            Owner::Container(key) => format!("{} of container {key}", entry.path()),
            Owner::Caller => entry.path(),
        },
        Some(entry) => entry.path(),
        None => format!("inode {}", AT.get()),
    }
}

/// Remembers the inode that this thread's request is about.
pub(super) fn set_inode(inode: u64) {
    AT.set(inode);
}

/// Runs the handler of one request. Should it panic, the request alone is lost: its reply, which
/// was moved into the handler, says EIO when it is dropped.
pub(super) fn guarded(handler: impl FnOnce()) {
    GATE.pass(|| {
        if catch_unwind(AssertUnwindSafe(handler)).is_err() {
            metrics::PANICS.count();
            tracing::error!(file = at_work(), "a request panicked and was answered EIO");
        }
    });
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

    /// Panics when it is asked for `bad`.
    struct Panicking;

    impl Filesystem for Panicking {
        fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
            guarded(|| {
                assert_ne!(name, "bad");
                reply.error(Errno::ENXIO);
            });
        }

        fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
            let told = (fuser::FileType::Directory, 0o555, 0);
            let root = attributes(inode, told, SystemTime::now());
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
