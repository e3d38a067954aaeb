//! Pure. The architectures whose system calls a filter judges, and the numbers of the calls there.

use std::collections::HashMap;

use syscalls::{
    aarch64::Sysno as Aarch64Call, arm::Sysno as ArmCall, x86::Sysno as X86Call,
    x86_64::Sysno as X86_64Call,
};

/// An architecture, as the kernel tells it to a filter. Two share a machine if the machine runs
/// programs of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// 64-bit programs of x86.
    X86_64,
    /// Programs of x86 with 64-bit registers and 32-bit pointers.
    X32,
    /// 32-bit programs of x86.
    X86,
    /// 64-bit programs of Arm.
    Aarch64,
    /// 32-bit programs of Arm.
    Arm,
}

/// The architectures of this machine, the kernel's own one first.
#[cfg(target_arch = "x86_64")]
pub(crate) const OWN: &[Architecture] =
    &[Architecture::X86_64, Architecture::X86, Architecture::X32];

/// The architectures of this machine, the kernel's own one first.
#[cfg(target_arch = "aarch64")]
pub(crate) const OWN: &[Architecture] = &[Architecture::Aarch64, Architecture::Arm];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the filter of `plimsoll run` needs the architecture of this machine");

/// The first number of X32 (`__X32_SYSCALL_BIT`, arch/x86/include/uapi/asm/unistd.h).
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// The first of the numbers that only X32 has.
const X32_OWN: u32 = 512;

/// The calls whose numbers only X32 has, from [`X32_OWN`] on
/// (arch/x86/entry/syscalls/syscall_64.tbl).
const X32_CALLS: &str = "rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg \
    execve ptrace rt_sigpending rt_sigtimedwait rt_sigqueueinfo sigaltstack timer_create mq_notify \
    kexec_load waitid set_robust_list get_robust_list vmsplice move_pages preadv pwritev \
    rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv process_vm_writev setsockopt getsockopt \
    io_setup io_submit execveat preadv2 pwritev2";

/// The first number of the calls that 32-bit Arm has beside the table of all architectures
/// (`__ARM_NR_BASE`, arch/arm/include/uapi/asm/unistd.h).
pub(crate) const PRIVATE: u32 = 0xf_0000;

/// The calls of 32-bit Arm from [`PRIVATE`] on that Docker's filter names.
const ARM_CALLS: [(&str, u32); 4] = [
    ("breakpoint", PRIVATE + 1),
    ("cacheflush", PRIVATE + 2),
    ("set_tls", PRIVATE + 5),
    // A second name of a call in the table.
    ("sync_file_range2", 341),
];

impl Architecture {
    /// Returns the architecture with this name in a profile; `None` for one that this program does
    /// not know.
    pub(crate) fn of_profile(name: &str) -> Option<Architecture> {
        Some(match name {
            "SCMP_ARCH_X86_64" => Architecture::X86_64,
            "SCMP_ARCH_X32" => Architecture::X32,
            "SCMP_ARCH_X86" => Architecture::X86,
            "SCMP_ARCH_AARCH64" => Architecture::Aarch64,
            "SCMP_ARCH_ARM" => Architecture::Arm,
            _ => return None,
        })
    }

    /// Returns the name of the architecture in the conditions of a Docker profile.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "amd64",
            Architecture::X32 => "x32",
            Architecture::X86 => "x86",
            Architecture::Aarch64 => "arm64",
            Architecture::Arm => "arm",
        }
    }

    /// Returns the value of `seccomp_data.arch` (`AUDIT_ARCH_*`, include/uapi/linux/audit.h).
    pub(crate) fn audit(self) -> u32 {
        match self {
            Architecture::X86_64 | Architecture::X32 => 0xc000_003e,
            Architecture::X86 => 0x4000_0003,
            Architecture::Aarch64 => 0xc000_00b7,
            Architecture::Arm => 0x4000_0028,
        }
    }

    /// Returns the first number of the architecture's calls.
    pub(crate) fn first_number(self) -> u32 {
        match self {
            Architecture::X32 => X32_BIT,
            _ => 0,
        }
    }

    /// Returns the number of each system call by name.
    pub(crate) fn calls(self) -> HashMap<&'static str, u32> {
        match self {
            Architecture::X86_64 => {
                numbers(X86_64Call::iter().map(|call| (call.name(), call.id())))
            }
            Architecture::X86 => numbers(X86Call::iter().map(|call| (call.name(), call.id()))),
            Architecture::Aarch64 => {
                numbers(Aarch64Call::iter().map(|call| (call.name(), call.id())))
            }
            Architecture::Arm => {
                let mut calls = numbers(ArmCall::iter().map(|call| (call.name(), call.id())));
                calls.extend(ARM_CALLS);
                calls
            }
            Architecture::X32 => {
                let mut calls = Architecture::X86_64.calls();
                calls.extend(X32_CALLS.split_whitespace().zip(X32_OWN..));
                calls.values_mut().for_each(|number| *number |= X32_BIT);
                calls
            }
        }
    }
}

fn numbers(calls: impl Iterator<Item = (&'static str, i32)>) -> HashMap<&'static str, u32> {
    calls
        .filter_map(|(name, number)| Some((name, u32::try_from(number).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_the_number_of_its_architecture() {
        for (architecture, name, number) in [
            (Architecture::X86_64, "unshare", 272),
            (Architecture::X86_64, "removexattrat", 466),
            (Architecture::X32, "unshare", X32_BIT | 272),
            (Architecture::X32, "ioctl", X32_BIT | 514),
            (Architecture::X32, "pwritev2", X32_BIT | 547),
            (Architecture::X86, "unshare", 310),
            (Architecture::X86, "socketcall", 102),
            (Architecture::Aarch64, "unshare", 97),
            (Architecture::Arm, "unshare", 337),
            (Architecture::Arm, "set_tls", 0xf_0005),
        ] {
            assert_eq!(
                architecture.calls().get(name),
                Some(&number),
                "{name} of {architecture:?}"
            );
        }
    }

    #[test]
    fn an_architecture_is_known_by_its_name_in_a_profile() {
        assert_eq!(
            Architecture::of_profile("SCMP_ARCH_X32"),
            Some(Architecture::X32)
        );
        assert_eq!(Architecture::of_profile("SCMP_ARCH_MIPS"), None);
    }
}
