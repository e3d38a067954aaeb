//! Work in another cgroup namespace.

use nix::{
    sched::{CloneFlags, setns},
    unistd::{Pid, gettid},
};
use std::{
    io,
    os::fd::AsFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The maximum time that the kernel takes to remove a thread that has ended.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns the result of `read`, which a new thread calls in the cgroup namespace that is open as
/// `ns` (`/proc/PID/ns/cgroup`). The thread has ended at the return, so this process stays where it
/// is.
///
/// # Errors
/// The errors of `setns(2)`: EPERM without CAP_SYS_ADMIN in the user namespace that owns `ns`. EAGAIN
/// when there can be no more thread.
pub fn in_cgroup_namespace<T: Send>(
    ns: impl AsFd + Send,
    read: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let work = move || {
            let entered = setns(ns, CloneFlags::CLONE_NEWCGROUP);
            let result = entered.map_err(io::Error::from).and_then(|()| read());
            (gettid(), result)
        };
        let thread = thread::Builder::new().spawn_scoped(scope, work)?;
        let panicked = || io::Error::other("the thread in the cgroup namespace has panicked");
        let (tid, result) = thread.join().map_err(|_| panicked())?;
        wait_until_removed(tid);
        result
    })
}

/// Waits until the kernel no longer counts a thread that has been joined. A process with that thread
/// could not fork (see [`forked`](super::process::forked)).
fn wait_until_removed(tid: Pid) {
    // `join` returns when `mm_release` clears the thread's id; `release_task` comes later.
    let task = format!("/proc/self/task/{tid}");
    let end = Instant::now() + REMOVAL_TIMEOUT;
    while Path::new(&task).exists() && Instant::now() < end {
        thread::yield_now();
    }
}
