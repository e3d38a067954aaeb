//! The hot path allocates nothing. This test is a binary of its own, whose allocator counts.
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

/// The system's allocator, which counts the allocations of all threads but the reader.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_READER: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IS_READER.try_with(Cell::get).unwrap_or(true) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller makes the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `alloc` got the pointer from the system's allocator.
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
fn a_read_that_was_answered_before_allocates_nothing() {
    IS_READER.set(true);
    let cgroup = Cgroup::new();
    let point = tempfile::tempdir().unwrap();
    // The clock stands still, because the identity of a container is also looked up again after a time.
    let answers = Answers::at(Path::new("/"), || Micros::SECOND)
        .unwrap()
        .with_max_age(Micros::SECOND.times(3600));
    let server = Arc::new(Server::new(
        Arc::new(answers),
        Arc::new(Store::new().unwrap()),
        u32::MAX,
    ));
    let direct = serve(Direct(Arc::clone(&server)), point.path(), Side::Direct);
    let cached = serve(Cached(server), point.path(), Side::Cached);

    let own = Side::Cached
        .mountpoint(point.path())
        .join(cgroup.key().to_string());
    let kept = File::open(own.join("proc/meminfo")).unwrap();
    // Opens by descriptor, because the kernel looks a name up again after a time.
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
    // The first round grows the tables and renders each file.
    read();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    read();
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    drop(cached);
    drop(direct);
    assert_eq!(allocations, 0);
}
