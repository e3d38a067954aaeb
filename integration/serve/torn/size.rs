//! A file whose size changes: threads read the file to its end while it grows and shrinks. The page cache cannot
//! serve such a file, because the kernel looks up the size apart from the bytes, and asks for more where the
//! file ended a moment ago.

use crate::harness::{Cgroup, Daemon, wait_until};
use plimsoll::view::files::CPUS;
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const CONTAINERS: usize = 40;
const THREADS: usize = 4;
const PAUSE: Duration = Duration::from_millis(30);

/// Ends the readers when dropped, also by a panic.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn read(path: &Path, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let text = fs::read_to_string(path).unwrap();
        assert!(["0\n", "1\n", "0-1\n"].contains(&&*text), "torn: {text:?}");
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
        let path = daemon.path(&format!("containers/{}/{CPUS}/online", cgroup.key()));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let end = End(&is_over);
            for _ in 0..THREADS {
                scope.spawn(|| read(&path, &is_over));
            }
            std::thread::sleep(PAUSE);
            for (percent, list) in [(200, "0-1\n"), (100, "0\n")] {
                cgroup.limit_cpu(percent);
                let is_there = || fs::read_to_string(&path).unwrap() == list;
                wait_until("the list has changed", is_there);
                std::thread::sleep(PAUSE);
            }
            drop(end);
        });
    }
}
