//! The security of a container of `plimsoll run`, side by side with `docker run`: the questions of
//! amicontained (capabilities, filter of system calls, namespaces, refused calls), and the options.
//!
//! The results of Docker stand in the tests as its default profile has them (moby/profiles,
//! `seccomp/default_linux.go` at 02e898b137ae): no Docker runs here.

use super::container::{output, refusal, stdout};
use crate::harness::{busybox_root, stdout_of};
use std::{
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    str::FromStr,
};

/// Prints one line for each argument `NUMBER,ARGUMENT...`: the error of that system call, or 0.
const CALLER: &str = "import ctypes, errno, sys\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    for text in sys.argv[1:]:\n  \
    words = [ctypes.c_ulong(int(word)) for word in text.split(',')]\n  \
    failed = libc.syscall(*words) == -1\n  \
    print(errno.errorcode[ctypes.get_errno()] if failed else 0, flush=True)";

const CLONE_NEWUSER: u64 = 0x1000_0000;
const SIGCHLD: u64 = 17;
const AF_INET: u64 = 2;
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
const SOCK_STREAM: u64 = 1;
const ADDR_NO_RANDOMIZE: u64 = 0x4_0000;

/// System calls with their first arguments (the others are 0), and the error that each gets in `docker run`; 0 for
/// success. Null pointers tell a call that reached the kernel (EFAULT, EINVAL) from a refused one.
const CALLS: [(&str, &[u64], &str); 46] = [
    // Namespaces and mounts.
    ("unshare", &[CLONE_NEWUSER], "EPERM"),
    ("clone", &[CLONE_NEWUSER | SIGCHLD], "EPERM"),
    ("clone3", &[0, 0], "ENOSYS"),
    ("setns", &[0, 0], "EPERM"),
    ("mount", &[0, 0, 0, 0, 0], "EPERM"),
    ("umount2", &[0, 0], "EPERM"),
    ("pivot_root", &[0, 0], "EPERM"),
    ("fsopen", &[0, 0], "EPERM"),
    ("open_tree", &[0, 0, 0], "EPERM"),
    ("move_mount", &[0, 0, 0, 0, 0], "EPERM"),
    ("mount_setattr", &[0, 0, 0, 0, 0], "EPERM"),
    // Keys, which no namespace separates.
    ("keyctl", &[0, 0], "EPERM"),
    ("add_key", &[0, 0, 0, 0, 0], "EPERM"),
    ("request_key", &[0, 0, 0, 0], "EPERM"),
    // Sockets that leave the network namespace, or lead into the kernel's cryptography.
    ("socket", &[AF_VSOCK, SOCK_STREAM], "EPERM"),
    ("socket", &[AF_ALG, 5], "EPERM"),
    ("socket", &[AF_INET, SOCK_STREAM], "0"),
    // Parts of the kernel with many faults in the past.
    ("io_uring_setup", &[1, 0], "EPERM"),
    ("io_uring_enter", &[0, 0, 0, 0, 0], "EPERM"),
    ("io_uring_register", &[0, 0, 0, 0], "EPERM"),
    ("perf_event_open", &[0, 0, 0, 0, 0], "EPERM"),
    ("bpf", &[0, 0, 0], "EPERM"),
    ("userfaultfd", &[0], "EPERM"),
    ("fanotify_init", &[0, 0], "EPERM"),
    ("personality", &[ADDR_NO_RANDOMIZE], "EPERM"),
    ("personality", &[0xffff_ffff], "0"),
    ("kcmp", &[0, 0, 0, 0, 0], "EPERM"),
    ("pidfd_getfd", &[0, 0, 0], "EPERM"),
    ("process_madvise", &[0, 0, 0, 0, 0], "EPERM"),
    ("get_mempolicy", &[0, 0, 0, 0, 0], "EPERM"),
    ("open_by_handle_at", &[0, 0, 0], "EPERM"),
    // The machine.
    ("reboot", &[0, 0, 0, 0], "EPERM"),
    ("kexec_load", &[0, 0, 0, 0], "EPERM"),
    ("init_module", &[0, 0, 0], "EPERM"),
    ("finit_module", &[0, 0, 0], "EPERM"),
    ("delete_module", &[0, 0], "EPERM"),
    ("swapon", &[0, 0], "EPERM"),
    ("acct", &[0], "EPERM"),
    ("syslog", &[3, 0, 0], "EPERM"),
    ("settimeofday", &[0, 0], "EPERM"),
    ("sethostname", &[0, 0], "EPERM"),
    ("quotactl", &[0, 0, 0, 0], "EPERM"),
    // Calls of every program.
    ("chroot", &[0], "EFAULT"),
    ("statx", &[0, 0, 0, 0, 0], "EFAULT"),
    ("ptrace", &[0], "0"),
    // A call that is newer than the profile.
    ("open_tree_attr", &[0, 0, 0, 0, 0], "ENOSYS"),
];

/// Returns the error of each system call in a container with these options.
fn errors(options: &[&str], calls: &[(&str, &[u64])]) -> Vec<String> {
    let texts = calls.iter().map(|(name, arguments)| {
        let call = syscalls::Sysno::from_str(name).unwrap();
        let mut text = call.id().to_string();
        for index in 0..6 {
            write!(text, ",{}", arguments.get(index).unwrap_or(&0)).unwrap();
        }
        text
    });
    let texts: Vec<String> = texts.collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let seen = stdout(&[options, &["--", "python3", "-c", CALLER], &texts].concat());
    seen.lines().map(str::to_owned).collect()
}

/// Returns the value of a field of /proc/PID/status.
fn status_of(text: &str, field: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.strip_prefix(':'))
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn each_system_call_fails_in_run_as_in_docker_run() {
    let calls = CALLS.map(|(name, arguments, _)| (name, arguments));
    let seen = errors(&[], &calls);
    assert_eq!(seen.len(), CALLS.len(), "{seen:?}");
    let mut table = String::from("call                docker run  plimsoll run\n");
    let mut differs = false;
    for ((name, _, docker), run) in CALLS.iter().zip(&seen) {
        writeln!(table, "{name:<20}{docker:<12}{run}").unwrap();
        differs |= docker != run;
    }
    assert!(!differs, "{table}");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn without_a_filter_the_calls_reach_the_kernel() {
    let calls: [(&str, &[u64]); 3] = [
        ("unshare", &[CLONE_NEWUSER]),
        ("io_uring_setup", &[1, 0]),
        ("keyctl", &[0, u64::MAX - 2, 0]),
    ];
    let seen = errors(&["--security-opt", "seccomp=unconfined"], &calls);
    assert_eq!(seen[0], "0");
    assert_ne!(seen[1], "EPERM");
    assert_eq!(seen[2], "0");
    let admin = errors(&["--cap-add", "SYS_ADMIN"], &[("mount", &[0, 0, 0, 0, 0])]);
    assert_eq!(admin, ["EFAULT"]);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_container_is_confined_as_amicontained_asks() {
    let script = "cat /proc/self/status /proc/1/status; readlink /proc/self/ns/user";
    let text = stdout(&["--", "sh", "-c", script]);
    let (own, first) = text.split_at(text.rfind("Name:").unwrap());
    // Docker's 14 capabilities are 00000000a80425fb; CAP_MKNOD (bit 27) is left out, because on
    // cgroup v2 nothing but its absence keeps a container from the devices of the machine.
    let capabilities = format!("{:016x}", 0xa804_25fb_u64 & !(1 << 27));
    for (status, whose) in [(own, "the command"), (first, "process 1")] {
        for field in ["CapBnd", "CapEff", "CapPrm"] {
            assert_eq!(status_of(status, field), capabilities, "{field} of {whose}");
        }
        for field in ["CapInh", "CapAmb"] {
            assert_eq!(
                status_of(status, field),
                "0000000000000000",
                "{field} of {whose}"
            );
        }
        assert_eq!(status_of(status, "NoNewPrivs"), "1", "{whose}");
        assert_eq!(status_of(status, "Seccomp"), "2", "{whose}");
    }
    // Docker has the user namespace of the host too.
    let host = fs::read_link("/proc/self/ns/user").unwrap();
    assert!(text.ends_with(&format!("{}\n", host.display())), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn the_session_keyring_is_not_the_hosts() {
    // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING.
    let keyctl = syscalls::Sysno::from_str("keyctl").unwrap().id();
    let script = format!("import ctypes; print(ctypes.CDLL(None).syscall({keyctl}, 0, -3, 0))");
    let command = ["python3", "-c", &script];
    let host = stdout_of(
        &Command::new(command[0])
            .args(&command[1..])
            .output()
            .unwrap(),
    );
    let unconfined = &["--security-opt", "seccomp=unconfined", "--"][..];
    let container = stdout(&[unconfined, &command].concat());
    assert!(container.trim().parse::<i32>().unwrap() > 0, "{container}");
    assert_ne!(container, host);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn no_cgroup_hierarchy_can_be_mounted_in_a_container() {
    let script = "for options in '-t cgroup -o memory' '-t cgroup -o pids' '-t cgroup2'; do \
        for in in '' 'unshare -UrmC'; do $in mount $options none /mnt && echo mounted; done; done; \
        echo over";
    assert_eq!(stdout(&["--", "sh", "-c", script]), "over\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn capabilities_are_added_and_dropped() {
    let bounding = |options: &[&str]| {
        let text = stdout(&[options, &["--", "cat", "/proc/self/status"]].concat());
        assert_eq!(status_of(&text, "CapBnd"), status_of(&text, "CapEff"));
        u64::from_str_radix(&status_of(&text, "CapBnd"), 16).unwrap()
    };
    assert_eq!(bounding(&["--cap-drop", "all"]), 0);
    assert_eq!(
        bounding(&["--cap-drop", "ALL", "--cap-add", "cap_chown"]),
        1
    );
    assert_eq!(bounding(&["--cap-add", "NET_ADMIN"]), 0xa004_25fb | 1 << 12);
    assert_eq!(bounding(&["--cap-drop", "CHOWN"]), 0xa004_25fa);
    let all = bounding(&["--cap-add", "ALL"]);
    let host = fs::read_to_string("/proc/self/status").unwrap();
    let host = u64::from_str_radix(&status_of(&host, "CapPrm"), 16).unwrap();
    assert_eq!(all, host);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_program_that_only_root_may_run_is_refused_to_another_user() {
    let root = tempfile::tempdir().unwrap();
    busybox_root(root.path());
    let program = root.path().join("bin/busybox-of-root");
    fs::copy(root.path().join("bin/busybox"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let rootfs = root.path().to_str().unwrap();
    for (user, expected) in [("0", 0), ("1000", 126)] {
        let output = output(&[
            "--rootfs",
            rootfs,
            "-u",
            user,
            "--",
            "/bin/busybox-of-root",
            "true",
        ]);
        assert_eq!(output.status.code(), Some(expected), "{user}: {output:?}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn process_1_of_another_user_has_no_right_but_to_send_signals() {
    let text = stdout(&["-u", "1000", "--", "cat", "/proc/1/status"]);
    for field in ["CapEff", "CapPrm"] {
        // CAP_KILL
        assert_eq!(status_of(&text, field), "0000000000000020", "{field}");
    }
    let text = stdout(&["-u", "1000", "--", "cat", "/proc/self/status"]);
    assert_eq!(status_of(&text, "CapEff"), "0000000000000000");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn programs_can_give_privileges_where_the_option_says_so() {
    for user in ["0", "nobody"] {
        let options = ["-u", user, "--security-opt", "no-new-privileges=false"];
        let text = stdout(
            &[
                &options[..],
                &["--", "cat", "/proc/self/status", "/proc/1/status"],
            ]
            .concat(),
        );
        let (own, first) = text.split_at(text.rfind("Name:").unwrap());
        for status in [own, first] {
            assert_eq!(status_of(status, "NoNewPrivs"), "0");
            assert_eq!(status_of(status, "Seccomp"), "2");
            assert_eq!(status_of(status, "CapBnd"), "00000000a00425fb");
            // Process 1 had CAP_SYS_ADMIN (bit 21) to set the filter.
            let effective = status_of(status, "CapPrm");
            assert_eq!(u64::from_str_radix(&effective, 16).unwrap() & 1 << 21, 0);
        }
        let expected = ["00000000a00425fb", "0000000000000000"][usize::from(user == "nobody")];
        assert_eq!(status_of(own, "CapEff"), expected);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_profile_of_docker_is_the_filter() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let profile = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [\
        {\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 28}]}";
    fs::write(file.path(), profile).unwrap();
    let option = format!("seccomp={}", file.path().display());
    let options = ["--security-opt", &option];
    let script = "mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status";
    let text = stdout(&[&options[..], &["--", "sh", "-c", script]].concat());
    assert!(text.contains("No space left on device"), "{text}");
    assert!(text.contains("Seccomp:\t2"), "{text}");
    fs::write(file.path(), "{\"defaultAction\": \"SCMP_ACT_ERRNO\"}").unwrap();
    let line = refusal(&[&options[..], &["--", "true"]].concat());
    assert!(line.contains("process 1"), "{line}");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn each_process_has_the_limits_of_the_options() {
    let options = [
        "--ulimit",
        "nofile=100:200",
        "--ulimit",
        "core=0",
        "--ulimit",
        "nofile=90:210",
    ];
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c";
    let text = stdout(&[&options[..], &["--", "bash", "-c", script]].concat());
    assert_eq!(text, "90\n210\n0\n");
}

/// A static program, which needs no library for its start.
fn in_busybox(ulimit: &str, command: &[&str]) -> Output {
    let root = tempfile::tempdir().unwrap();
    busybox_root(root.path());
    let rootfs = root.path().to_str().unwrap();
    let options = ["--rootfs", rootfs, "--ulimit", ulimit, "--", "/bin/busybox"];
    output(&[&options[..], command].concat())
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_limit_that_is_too_low_for_the_start_of_a_container_is_the_commands_alone() {
    for ulimit in [
        "nofile=0",
        "nproc=0",
        "fsize=0",
        "memlock=0",
        "core=0",
        "msgqueue=0",
        "sigpending=0",
        "locks=0",
        "rss=0",
        "nice=0",
        "rtprio=0",
        "rttime=0",
        "stack=131072",
    ] {
        let output = in_busybox(ulimit, &["true"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{ulimit}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_limit_that_ends_the_command_is_named_in_one_line() {
    for (ulimit, command) in [
        ("as=0", &["true"][..]),
        ("data=0", &["true"]),
        // The kernel gives a stack a few pages in any case.
        ("stack=0", &["sh", "-c", "f() { f; }; f"]),
        ("fsize=0", &["dd", "if=/dev/zero", "of=/written", "count=1"]),
        ("cpu=0", &["sh", "-c", "while :; do :; done"]),
    ] {
        let output = in_busybox(ulimit, command);
        let said = String::from_utf8_lossy(&output.stderr);
        let end = format!(" of --ulimit {ulimit}\n");
        assert!(
            said.ends_with(&end) && said.lines().count() == 1,
            "{ulimit}: {said}"
        );
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn the_environment_comes_from_files_and_then_from_options() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "# comment\nA=1\nB= two words \n\nC=3\n").unwrap();
    let path = file.path().to_str().unwrap();
    let options = ["--rm", "--init", "-e", "A=option", "--env-file", path];
    let text = stdout(&[&options[..], &["--", "sh", "-c", "echo \"$A|$B|$C\""]].concat());
    assert_eq!(text, "option| two words |3\n");
}
