//! Descriptors of processes and threads.

use super::errno;
use nix::{errno::Errno, unistd::Pid};
use rustix::process::{PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;

/// Opens a descriptor of the process `pid`. The descriptor becomes readable when the process ends.
///
/// # Errors
///
/// ESRCH when there is no such process, ENOSYS before Linux 5.3.
pub fn of_process(pid: Pid) -> nix::Result<OwnedFd> {
    open(pid, PidfdFlags::empty())
}

/// Opens a descriptor of the one thread `tid`. The descriptor becomes readable when the thread
/// ends, although other threads of its process may still run.
///
/// # Errors
///
/// ESRCH when there is no such thread, EINVAL before Linux 6.9.
pub fn of_thread(tid: Pid) -> nix::Result<OwnedFd> {
    // PIDFD_THREAD of include/uapi/linux/pidfd.h is O_EXCL.
    open(
        tid,
        PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned()),
    )
}

fn open(pid: Pid, flags: PidfdFlags) -> nix::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::EINVAL)?;
    pidfd_open(pid, flags).map_err(errno)
}
