//! A file whose size changes: threads that open it and threads that keep it, while it grows and
//! shrinks again. A file has to be new for it, so there are many containers.

use crate::harness::{Cgroup, Daemon};
use plimsoll::files::CACHED_ONLINE;
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const CONTAINERS: usize = 40;
const THREADS: usize = 4;
const AWHILE: Duration = Duration::from_millis(30);

/// What a list is: `0`, `1` or `0-1`, and any number of empty lines.
fn verify(text: &[u8]) {
    let lines = text.trim_ascii_end();
    let is_list = [&b"0"[..], b"1", b"0-1"].contains(&lines);
    let ending = &text[lines.len()..];
    assert!(
        is_list && !ending.is_empty() && ending.iter().all(|byte| *byte == b'\n'),
        "torn: {:?}",
        text.escape_ascii().to_string()
    );
}

fn read(path: &Path, keeps: bool, is_over: &AtomicBool) {
    let kept = File::open(path).unwrap();
    let mut room = [0; 256];
    while !is_over.load(Ordering::Relaxed) {
        let length = match keeps {
            true => kept.read_at(&mut room, 0).unwrap(),
            false => File::open(path).unwrap().read_at(&mut room, 0).unwrap(),
        };
        verify(&room[..length]);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and 2 CPUs"]
fn no_read_of_a_file_that_grows_and_shrinks_is_torn() {
    let daemon = Daemon::start();
    for _ in 0..CONTAINERS {
        let cgroup = Cgroup::new();
        cgroup.limit_cpu(100);
        cgroup.limit_cpus("0-1");
        let path = format!("containers/{}/{CACHED_ONLINE}", cgroup.key());
        let path = daemon.path(&path);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for reader in 0..THREADS {
                let (path, is_over) = (&path, &is_over);
                scope.spawn(move || read(path, reader % 2 == 0, is_over));
            }
            std::thread::sleep(AWHILE);
            for (percent, cpus) in [(200, "0-1"), (100, "0")] {
                cgroup.limit_cpu(percent);
                let is_there = || fs::read_to_string(&path).unwrap().trim_end() == cpus;
                crate::harness::wait_until("the list has changed", is_there);
                std::thread::sleep(AWHILE);
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
