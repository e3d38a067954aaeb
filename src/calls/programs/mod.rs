//! Pure. The programs that run when a system call returns.
//!
//! A program finds the running task's container, changes the kernel's answer in the caller's buffer, and never
//! changes what the call returns. Whatever it does not find, it leaves the kernel's answer: for a process of the
//! host, for a cgroup without a value, and where the buffer cannot be written without a page fault.

mod affinity;
mod builder;
mod memory;
mod sysinfo;

pub use affinity::affinity;
pub use sysinfo::sysinfo;

/// The maximum number of cgroups that a program visits, from the task's own up.
pub const MAX_LEVELS: i32 = 12;

/// Facts of the machine that are constants in the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFacts {
    /// The kernel counts swap alone, as on cgroup v2, and not memory and swap together, as on v1.
    pub counts_swap_alone: bool,
    /// Number of the host's mount namespace. A task in it and in the first pid namespace is a process of the
    /// host.
    pub mount_namespace: u32,
    /// Logarithm of the size of a page: 12 for 4096 bytes.
    pub page_shift: u8,
}
