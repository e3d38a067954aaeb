//! Pure. The filter of `docker run`, as a table.
//!
//! The source is the default profile of Moby: `seccomp/default_linux.go` of
//! <https://github.com/moby/profiles> at commit 02e898b137ae, under the Apache License 2.0. The table
//! lists only calls of x86 and Arm, and leaves out the condition on the kernel's version, which every
//! supported kernel meets.

use rustix::thread::CapabilitySet;

use crate::run::seccomp::{
    architecture::OWN,
    filter::{Action, CallRule, Comparison, Condition, ENOSYS, EPERM, Filter},
};

/// The calls that every container may make, whatever their arguments.
const ALLOWED: &str = "\
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 \
    clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
    clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 \
    dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
    epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 \
    fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat \
    fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 \
    fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 \
    futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 \
    geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp \
    getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit \
    get_robust_list getrusage getsid getsockname getsockopt get_thread_area gettid gettimeofday \
    getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 \
    inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64 \
    ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule landlock_create_ruleset \
    landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr \
    listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise \
    map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock \
    mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive \
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget \
    msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect \
    open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free \
    pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease \
    pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv \
    recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename \
    renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask \
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 \
    rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max \
    sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 \
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select \
    semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto \
    setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid \
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 \
    setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid setuid32 \
    setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 \
    sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx \
    symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete \
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate \
    truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 \
    utimes vfork vmsplice wait4 waitid waitpid write writev \
    process_vm_readv process_vm_writev ptrace";

/// The calls that every container on x86 may make.
const ALLOWED_ON_X86: &str = "arch_prctl modify_ldt";

/// The calls that every container on Arm may make.
const ALLOWED_ON_ARM: &str =
    "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls";

/// The calls that a container may make if it has a capability.
const ALLOWED_BY_CAPABILITY: [(CapabilitySet, &str); 14] = [
    (CapabilitySet::DAC_READ_SEARCH, "open_by_handle_at"),
    (
        CapabilitySet::SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie \
         lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount \
         open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog \
         umount umount2 unshare",
    ),
    (CapabilitySet::SYS_BOOT, "reboot"),
    (CapabilitySet::SYS_CHROOT, "chroot"),
    (
        CapabilitySet::SYS_MODULE,
        "delete_module init_module finit_module",
    ),
    (CapabilitySet::SYS_PACCT, "acct"),
    (
        CapabilitySet::SYS_PTRACE,
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    (CapabilitySet::SYS_RAWIO, "iopl ioperm"),
    (
        CapabilitySet::SYS_TIME,
        "settimeofday stime clock_settime clock_settime64",
    ),
    (CapabilitySet::SYS_TTY_CONFIG, "vhangup"),
    (
        CapabilitySet::SYS_NICE,
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    (CapabilitySet::SYSLOG, "syslog"),
    (CapabilitySet::BPF, "bpf"),
    (CapabilitySet::PERFMON, "perf_event_open"),
];

/// The domains of sockets that a container may make, as ranges from the first to the last one
/// (include/linux/socket.h).
///
/// The gaps are domains that the kernel no longer has, and two that Docker refuses: AF_ALG (38) gives
/// access to the kernel's cryptography, and AF_VSOCK (40) crosses network namespaces. `socketcall` of
/// 32-bit programs passes its arguments in memory, where no filter can read them.
const SOCKET_DOMAINS: [(u64, u64); 8] = [
    (0, 11),
    (13, 18),
    (21, 22),
    (24, 24),
    (26, 33),
    (35, 36),
    (39, 39),
    (41, 45),
];

/// The values of `personality` that a container may set: PER_LINUX and PER_LINUX32, each also with
/// UNAME26, and the question for the present one (include/uapi/linux/personality.h).
const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The flags of `clone` for new namespaces: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID
/// and NEWNET (include/uapi/linux/sched.h).
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// Returns the filter for a container with these capabilities.
pub(crate) fn filter(capabilities: CapabilitySet) -> Filter {
    let mut rules = vec![
        allow(ALLOWED, Vec::new()),
        allow(
            match cfg!(target_arch = "x86_64") {
                true => ALLOWED_ON_X86,
                false => ALLOWED_ON_ARM,
            },
            Vec::new(),
        ),
    ];
    rules.extend(SOCKET_DOMAINS.map(|(first, last)| {
        let bounds = [
            Comparison::GreaterOrEqual(first),
            Comparison::LessOrEqual(last),
        ];
        allow("socket", bounds.map(first_argument).to_vec())
    }));
    rules.extend(PERSONALITIES.map(|value| {
        allow(
            "personality",
            vec![first_argument(Comparison::Equal(value))],
        )
    }));
    let granted = ALLOWED_BY_CAPABILITY
        .into_iter()
        .filter(|(capability, _)| capabilities.contains(*capability));
    rules.extend(granted.map(|(_, names)| allow(names, Vec::new())));
    if !capabilities.contains(CapabilitySet::SYS_ADMIN) {
        rules.extend(without_namespaces());
    }
    Filter {
        default: Action::Errno(EPERM),
        architectures: OWN.to_vec(),
        rules,
        logs: false,
    }
}

/// Returns the rules of a container that can make no namespaces. A filter cannot read the flags of
/// `clone3`, which lie in memory; ENOSYS makes the C library call `clone`.
fn without_namespaces() -> [CallRule; 2] {
    let flags = Comparison::MaskedEqual {
        mask: NEW_NAMESPACES,
        value: 0,
    };
    let clone3 = CallRule {
        action: Action::Errno(ENOSYS),
        ..allow("clone3", Vec::new())
    };
    [allow("clone", vec![first_argument(flags)]), clone3]
}

fn allow(names: &'static str, conditions: Vec<Condition>) -> CallRule {
    CallRule {
        names: names.split_whitespace().map(Into::into).collect(),
        conditions,
        action: Action::Allow,
    }
}

fn first_argument(comparison: Comparison) -> Condition {
    Condition {
        argument: 0,
        comparison,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{
        options::security::DEFAULT_CAPABILITIES,
        seccomp::{
            architecture::Architecture,
            bpf::{
                machine::{Call, run},
                program,
            },
        },
    };

    /// Returns the answer to a call with these first arguments on the machine's own architecture, for
    /// the default capabilities and one more.
    fn answer(more: Option<CapabilitySet>, name: &str, arguments: &[u64]) -> u32 {
        let capabilities = DEFAULT_CAPABILITIES | more.unwrap_or(CapabilitySet::empty());
        let program = program(&filter(capabilities)).unwrap();
        run(&program, Call::named(OWN[0], name, arguments)).0
    }

    fn errno(error: u16) -> u32 {
        Action::Errno(error).value()
    }

    #[test]
    fn every_call_of_the_table_is_allowed_on_every_architecture() {
        let program = program(&filter(DEFAULT_CAPABILITIES)).unwrap();
        for architecture in OWN {
            let calls = architecture.calls();
            for name in ALLOWED
                .split_whitespace()
                .filter(|name| calls.contains_key(name))
            {
                let (answer, steps) = run(&program, Call::named(*architecture, name, &[]));
                assert_eq!(answer, Action::Allow.value(), "{name} of {architecture:?}");
                assert!(steps < 20, "{name} of {architecture:?} takes {steps} steps");
            }
        }
    }

    #[test]
    fn every_name_of_the_table_is_that_of_a_call() {
        let all = [
            Architecture::X86_64,
            Architecture::X86,
            Architecture::Aarch64,
            Architecture::Arm,
        ]
        .map(Architecture::calls);
        let by_capability = ALLOWED_BY_CAPABILITY.iter().map(|(_, names)| *names);
        let lists = [ALLOWED, ALLOWED_ON_X86, ALLOWED_ON_ARM];
        for name in lists
            .into_iter()
            .chain(by_capability)
            .flat_map(str::split_whitespace)
        {
            assert!(
                all.iter().any(|calls| calls.contains_key(name)),
                "no architecture has {name}"
            );
        }
    }

    #[test]
    fn a_call_is_refused_unless_the_container_has_its_capability() {
        for (capability, names) in ALLOWED_BY_CAPABILITY {
            let calls = OWN[0].calls();
            let is_conditional = |name: &&str| {
                let is_general = ALLOWED.split_whitespace().any(|other| other == *name);
                !is_general && calls.contains_key(name)
            };
            for name in names.split_whitespace().filter(is_conditional) {
                let is_default = DEFAULT_CAPABILITIES.contains(capability);
                let expected = match name {
                    // Without new namespaces.
                    "clone" => Action::Allow.value(),
                    "clone3" => errno(ENOSYS),
                    _ if is_default => Action::Allow.value(),
                    _ => errno(EPERM),
                };
                assert_eq!(answer(None, name, &[]), expected, "{name}");
                let allowed = answer(Some(capability), name, &[]);
                assert_eq!(allowed, Action::Allow.value(), "{name} with {capability:?}");
            }
        }
    }

    #[test]
    fn a_call_that_is_in_no_row_is_refused() {
        for name in [
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "keyctl",
            "add_key",
            "request_key",
            "userfaultfd",
            "pivot_root",
            "swapon",
            "kexec_load",
            "nfsservctl",
            "vserver",
        ] {
            if OWN[0].calls().contains_key(name) {
                assert_eq!(answer(None, name, &[]), errno(EPERM), "{name}");
            }
        }
        // A call that is newer than the table.
        assert_eq!(answer(None, "open_tree_attr", &[]), errno(ENOSYS));
    }

    #[test]
    fn a_process_is_made_only_without_new_namespaces() {
        const SIGCHLD: u64 = 17;
        const CLONE_VM: u64 = 0x100;
        assert_eq!(
            answer(None, "clone", &[SIGCHLD | CLONE_VM]),
            Action::Allow.value()
        );
        for flag in [17, 25, 26, 27, 28, 29, 30] {
            let flags = SIGCHLD | 1 << flag;
            assert_eq!(answer(None, "clone", &[flags]), errno(EPERM), "bit {flag}");
            let admin = Some(CapabilitySet::SYS_ADMIN);
            assert_eq!(
                answer(admin, "clone", &[flags]),
                Action::Allow.value(),
                "bit {flag}"
            );
        }
    }

    #[test]
    fn a_personality_is_one_of_five() {
        for value in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
            let allowed = answer(None, "personality", &[value]);
            assert_eq!(allowed, Action::Allow.value(), "{value:#x}");
        }
        // ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, and more than 32 bits.
        for value in [1, 9, 0x4_0000, 0x40_0000, 1 << 32] {
            let refused = answer(None, "personality", &[value]);
            assert_eq!(refused, errno(EPERM), "{value:#x}");
        }
    }

    #[test]
    fn a_socket_is_of_a_domain_that_docker_allows() {
        const REFUSED: [u64; 10] = [12, 19, 20, 23, 25, 34, 37, 38, 40, 46];
        for domain in 0..47 {
            let expected = match REFUSED.contains(&domain) {
                true => errno(EPERM),
                false => Action::Allow.value(),
            };
            assert_eq!(answer(None, "socket", &[domain, 1]), expected, "{domain}");
        }
    }
}
