//! The limits of a container, in the kernel and against the container itself.

use super::container::{Running, limit, output, stdout};
use crate::harness::{unique, wait_until};

#[test]
#[ignore = "needs root and /dev/fuse"]
fn limits_are_those_of_the_options() {
    let name = unique("limits");
    let running = Running::start(
        &[
            "--name",
            &name,
            "-m",
            "64M",
            "--cpus",
            "0.5",
            "--cpuset-cpus",
            "0",
            "--pids-limit",
            "40",
        ],
        "sleep 1000",
    );
    assert_eq!(
        limit(&name, "memory.max", "memory.limit_in_bytes"),
        "67108864"
    );
    let cpu = limit(&name, "cpu.max", "cpu.cfs_quota_us");
    assert!(cpu == "50000 100000" || cpu == "50000", "{cpu}");
    assert_eq!(limit(&name, "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(limit(&name, "pids.max", "pids.max"), "40");
    running.signal("TERM");
    assert_eq!(running.status(), 143);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_has_at_most_2048_processes_unless_the_option_says_otherwise() {
    for (option, expected) in [
        (&[][..], "2048"),
        (&["--pids-limit", "-1"], "max"),
        (&["--pids-limit", "0"], "max"),
        (&["--pids-limit", "9"], "9"),
    ] {
        let name = unique("pids");
        let options = [option, &["--name", &name]].concat();
        let running = Running::start(&options, "sleep 1000");
        assert_eq!(limit(&name, "pids.max", "pids.max"), expected, "{option:?}");
        running.signal("TERM");
        running.status();
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_without_a_limit_of_memory_sees_the_machines() {
    let total = "grep MemTotal /proc/meminfo";
    let host = std::process::Command::new("sh")
        .args(["-c", total])
        .output();
    let seen = stdout(&["-m", "-1", "--", "sh", "-c", total]);
    assert_eq!(seen, crate::harness::stdout_of(&host.unwrap()));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_command_that_the_kernel_kills_for_lack_of_memory_is_named_with_the_limit() {
    // One process: while a killed process ends, the kernel may kill another one.
    let script = "exec tail /dev/zero";
    let options = [
        "-m",
        "32M",
        "--memory-swap",
        "32M",
        "--",
        "sh",
        "-c",
        script,
    ];
    let killed = output(&options);
    let said = String::from_utf8(killed.stderr).unwrap();
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        "plimsoll: the kernel killed 1 process of the container: the use of memory has reached --memory 32M"
    );
    let well = output(&["-m", "32M", "--", "true"]);
    assert_eq!(String::from_utf8(well.stderr).unwrap(), "");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_starts_with_the_minimum_of_memory() {
    let seen = stdout(&["-m", "6M", "--", "sh", "-c", "cat /proc/meminfo | cat"]);
    assert!(seen.contains("MemTotal:"), "{seen}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_cannot_change_its_own_limits() {
    let script = "for f in $(find /sys/fs/cgroup -name memory.max -o -name memory.limit_in_bytes); \
                  do echo 1G > $f && echo changed || echo refused; done";
    let seen = stdout(&["-m", "64M", "--", "sh", "-c", script]);
    assert!(
        !seen.is_empty() && seen.lines().all(|line| line == "refused"),
        "{seen}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn limits_hold_against_root_in_a_user_namespace() {
    let name = unique("lifted");
    let lift = "mount -t cgroup -o memory none /mnt || mount -t cgroup2 none /mnt; cd /mnt; \
        for f in memory.swap.max memory.max; do test ! -e $f || echo max > $f && echo lifted; done; \
        for f in memory.memsw.limit_in_bytes memory.limit_in_bytes; do \
        test ! -e $f || echo -1 > $f && echo lifted; done";
    let script =
        format!("unshare -UrmC sh -c '{lift}'; grep MemTotal /proc/meminfo; echo over; sleep 1000");
    // The default filter refuses the namespace.
    let options = ["--security-opt", "seccomp=unconfined"];
    let options = [&["--name", &name, "-m", "64M"][..], &options].concat();
    let running = Running::start(&options, &script);
    wait_until("the script has tried to lift its limits", || {
        running.has_printed("over")
    });
    assert!(running.has_printed("lifted"));
    assert!(running.has_printed("MemTotal:          65536 kB"));
    let memory = limit(&name, "memory.max", "memory.limit_in_bytes");
    assert_eq!(memory, "67108864");
    running.signal("TERM");
    running.status();
}
