//! Work in another cgroup namespace.

use nix::sched::{CloneFlags, setns};
use std::{io, os::fd::AsFd, thread};

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
            setns(ns, CloneFlags::CLONE_NEWCGROUP)?;
            read()
        };
        let thread = thread::Builder::new().spawn_scoped(scope, work)?;
        let ended = || io::Error::other("the thread in the cgroup namespace has panicked");
        thread.join().unwrap_or_else(|_| Err(ended()))
    })
}
