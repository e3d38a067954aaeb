//! The hot path takes nothing from the heap: a binary of its own, whose allocator counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unsafe_code,
    reason = "a test that fails should fail loudly; an allocator is unsafe by its trait"
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "written for the integration tests, which use the rest"
)]
#[path = "../harness/mod.rs"]
mod harness;

use harness::Cgroup;
use plimsoll::{
    base::{state::Store, units::Micros},
    serve::{
        fuse::{Cached, Direct, Server},
        wire::{Connection, Side},
    },
    view::answer::Answers,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs::File,
    io::Read,
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Counts what every thread but those of the test itself takes.
struct Counting;

static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_READER: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IS_READER.try_with(Cell::get).unwrap_or(true) {
        TAKEN.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer is the system allocator's own, for that is where all come from.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn serve<F: fuser::Filesystem>(served: F, view: &Path, side: Side) -> Connection {
    let mut connection = Connection::begin(side, view).unwrap();
    let session = connection.session(served, 1).unwrap();
    thread::spawn(|| session.run());
    connection
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_read_that_was_answered_lately_takes_nothing_from_the_heap() {
    IS_READER.set(true);
    let cgroup = Cgroup::new();
    let point = tempfile::tempdir().unwrap();
    // At a time that stands still, for who a container is, is asked again from time to time, too.
    let answers = Answers::at(Path::new("/"), || Micros::SECOND)
        .unwrap()
        .with_max_age(Micros::SECOND.times(3600));
    let server = Arc::new(Server::new(
        Arc::new(answers),
        Arc::new(Store::new().unwrap()),
    ));
    let direct = serve(Direct(Arc::clone(&server)), point.path(), Side::Direct);
    let cached = serve(Cached(server), point.path(), Side::Cached);

    let own = Side::Cached
        .mountpoint(point.path())
        .join(cgroup.key().to_string());
    let kept = File::open(own.join("proc/meminfo")).unwrap();
    // By its descriptor: a name is looked up again from time to time.
    let vmstat = File::open(own.join("proc/vmstat")).unwrap();
    let opened = format!("/proc/self/fd/{}", vmstat.as_raw_fd());
    let mut text = vec![0; 1 << 16];
    let mut read = || {
        for _ in 0..500 {
            assert!(kept.read_at(&mut text, 0).unwrap() > 0);
            let mut file = File::open(&opened).unwrap();
            while file.read(&mut text).unwrap() > 0 {}
        }
    };
    // Tables find their sizes, and each file its text.
    read();
    let before = TAKEN.load(Ordering::Relaxed);
    read();
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    drop(cached);
    drop(direct);
    assert_eq!(taken, 0);
}
