//! The daemons that a keeper no longer watches, and that were still exiting then.

use nix::{
    sys::wait::{WaitPidFlag, WaitStatus, waitpid},
    unistd::Pid,
};

/// Children of the keeper that were killed and have not ended yet. A thread that waits in the kernel,
/// or a tracer, delays the end of a process.
#[derive(Debug, Default)]
pub(super) struct Exiting(Vec<Pid>);

impl Exiting {
    /// Adds a daemon that the keeper watches no more. `status` is what `waitpid(2)` gave for it.
    pub(super) fn add(&mut self, daemon: Pid, status: nix::Result<WaitStatus>) {
        if status == Ok(WaitStatus::StillAlive) {
            self.0.push(daemon);
        }
    }

    /// Reaps those that have ended since: a process that is not reaped stays in the process table.
    pub(super) fn reap(&mut self) {
        self.0
            .retain(|pid| waitpid(*pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive));
    }
}
