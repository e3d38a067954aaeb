//! The confinement of a process: filters of its system calls, and the keyring of its session.
#![allow(unsafe_code, reason = "nix lacks these calls")]

use nix::errno::Errno;

/// Returns whether the kernel runs filters of system calls.
#[must_use]
pub fn has_seccomp_filters() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: `seccomp` reads one number from the pointer, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const action,
        )
    };
    result == 0
}

/// A filter of the system calls of a process and of all that it starts.
#[derive(Debug)]
pub struct SystemCallFilter {
    program: Vec<libc::sock_filter>,
    logs: bool,
}

impl SystemCallFilter {
    /// Returns the filter with this program. With `logs` the kernel logs the calls that the program
    /// does not allow.
    #[must_use]
    pub fn new(program: Vec<libc::sock_filter>, logs: bool) -> SystemCallFilter {
        SystemCallFilter { program, logs }
    }

    /// Makes the kernel run the program at each system call of this process from now on.
    ///
    /// # Errors
    ///
    /// EACCES for a process that may gain privileges and lacks CAP_SYS_ADMIN; EINVAL for a program
    /// that the kernel does not accept.
    pub fn apply(&self) -> nix::Result<()> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.program.len()).map_err(|_| Errno::EINVAL)?,
            filter: self.program.as_ptr().cast_mut(),
        };
        // As in runc and crun: without this flag kernels before 5.16 run all code of the process
        // under costly measures against speculation.
        let mut flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        if self.logs {
            flags |= libc::SECCOMP_FILTER_FLAG_LOG;
        }
        // SAFETY: `seccomp` reads the program and does not write to it; the pointer and the length
        // are those of a vector that outlives the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        Errno::result(result).map(drop)
    }
}

/// Gives this process a new, empty session keyring, which it passes on to all that it starts.
///
/// # Errors
///
/// The errors of `keyctl(2)`: ENOSYS for a kernel without keys.
pub fn join_new_session_keyring() -> nix::Result<()> {
    // include/uapi/linux/keyctl.h
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: this operation reads no memory for a name that is null.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, anonymous) };
    Errno::result(result).map(drop)
}
