//! `/proc/pressure`: a container's own stalls, and triggers that fire for them alone.

use crate::harness::{Cgroup, Daemon, is_v2, plimsoll, python, stdout_of};
use std::process::Command;

const MIB: u64 = 1 << 20;

/// Sets a trigger, polls it for some seconds and prints the result.
const WAIT: &str = r#"
import os, select, sys
text, seconds = sys.argv[1], float(sys.argv[2])
fd = os.open("/proc/pressure/cpu", os.O_RDWR | os.O_NONBLOCK)
try:
    os.write(fd, text.encode())
except OSError as error:
    print(os.strerror(error.errno))
    sys.exit()
poll = select.poll()
poll.register(fd, select.POLLPRI)
found = poll.poll(seconds * 1000)
print({0: "quiet", select.POLLPRI: "fired"}.get(found[0][1] if found else 0, found))
again = poll.poll(0)
print("consumed" if not again else "again")
"#;

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn a_container_reads_its_own_pressure() {
    assert!(is_v2());
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(256 * MIB);
    let text = cgroup.stdout(
        &daemon,
        "cat /proc/pressure/memory; stat -c %a /proc/pressure/memory",
    );
    let zero = "avg10=0.00 avg60=0.00 avg300=0.00 total=0";
    assert_eq!(text, format!("some {zero}\nfull {zero}\n666\n"));
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn a_trigger_fires_for_the_container_that_stalls_and_not_for_its_neighbour() {
    let daemon = Daemon::start();
    let (busy, idle) = (Cgroup::new(), Cgroup::new());
    busy.limit_cpu(10);
    let burn = "while :; do :; done & while :; do :; done &\n";
    let wait = python(WAIT, "'some 100000 2000000' 30");
    let mut first = busy.shell(&daemon, &format!("{burn}{wait}"));
    let quiet = python(WAIT, "'some 100000 2000000' 8");
    let mut second = idle.shell(&daemon, &quiet);
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(move || first.output().unwrap());
        let second = second.output().unwrap();
        (first.join().unwrap(), second)
    });
    assert!(
        stdout_of(&first).starts_with("fired\n"),
        "{}",
        stdout_of(&first)
    );
    assert_eq!(stdout_of(&second), "quiet\nconsumed\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn a_malformed_trigger_is_refused_and_only_the_privileged_choose_any_window() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let refused = "Invalid argument\n";
    let say = |text: &str, before: &str| {
        let script = format!("{before} {}", python(WAIT, &format!("'{text}' 0.1")));
        cgroup.stdout(&daemon, &script)
    };
    assert_eq!(say("once 1 2000000", ""), refused);
    assert_eq!(say("some 3000000 2000000", ""), refused);
    assert_eq!(say("some 100000 1000000", ""), "quiet\nconsumed\n");
    let nobody = "setpriv --reuid 65534 --clear-groups";
    assert_eq!(say("some 100000 1000000", nobody), refused);
    assert_eq!(say("some 100000 2000000", nobody), "quiet\nconsumed\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn an_open_file_has_one_trigger_and_poll_without_a_trigger_is_an_error() {
    let daemon = Daemon::start();
    let script = python(
        r#"
import os, select
fd = os.open("/proc/pressure/io", os.O_RDWR)
poll = select.poll(); poll.register(fd, select.POLLPRI)
print(poll.poll(1000)[0][1] == select.POLLPRI | select.POLLERR)
os.write(fd, b"full 150000 2000000\0")
try: os.write(fd, b"full 150000 2000000")
except OSError as error: print(os.strerror(error.errno))
print(os.pread(fd, 4, 0).decode())
meminfo = os.open("/proc/meminfo", os.O_RDONLY)
poll = select.poll(); poll.register(meminfo, select.POLLIN)
print(poll.poll(5000)[0][1] == select.POLLIN)
"#,
        "",
    );
    let text = Cgroup::new().stdout(&daemon, &script);
    assert_eq!(text, "True\nDevice or resource busy\nsome\nTrue\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn a_container_has_a_maximum_of_triggers_and_a_storm_of_them_harms_no_other_reader() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let storm = python(
        r#"
import os
for _ in range(300):
    fd = os.open("/proc/pressure/memory", os.O_RDWR); os.write(fd, b"some 150000 2000000"); os.close(fd)
held = []
try:
    while len(held) < 1000:
        held.append(os.open("/proc/pressure/memory", os.O_RDWR)); os.write(held[-1], b"some 150000 2000000")
except OSError as error: print(len(held) - 1, os.strerror(error.errno))
"#,
        "",
    )
    .replace("python3", "setpriv --reuid 65534 --clear-groups python3");
    let text = cgroup.stdout(&daemon, &storm);
    assert_eq!(text, "64 No space left on device\n");
    let after = python(WAIT, "'some 100000 2000000' 0.1");
    assert_eq!(cgroup.stdout(&daemon, &after), "quiet\nconsumed\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn a_shell_may_write_a_trigger_and_nothing_else_in_the_view() {
    let daemon = Daemon::start();
    let script = "echo 'some 150000 2000000' > /proc/pressure/cpu && echo set; \
        for f in meminfo stat uptime; do echo x 2>/dev/null > /proc/$f || echo refused; done";
    let output = Cgroup::new().stdout(&daemon, script);
    assert_eq!(output, "set\nrefused\nrefused\nrefused\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn a_container_of_run_has_its_own_pressure_too() {
    let mut run = plimsoll();
    let script = "cat /proc/pressure/memory; grep -c ' /proc/pressure' /proc/mounts; \
        (grep ' /proc/meminfo ' /proc/mounts | grep -c ' ro,') ; echo 'some 150000 2000000' > /proc/pressure/io && echo set";
    run.args(["run", "-m", "64M", "--", "bash", "-c", script]);
    let text = stdout_of(&run.output().unwrap());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("some avg10=0.00"), "{text}");
    assert!(lines[2].parse::<u32>().unwrap() >= 3, "{text}");
    assert_eq!(lines[3..], ["1", "set"], "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v1"]
fn without_cgroup_v2_a_container_has_no_pressure_files() {
    let daemon = Daemon::start();
    let script = format!(
        "ls {0}/proc/pressure {0}/containers/self/proc/pressure",
        daemon.mountpoint.display()
    );
    let text = Cgroup::new().stdout(&daemon, &script);
    assert!(!text.contains("cpu") && !text.contains("memory"), "{text}");
    let host = Command::new("ls")
        .arg(daemon.path("proc/pressure"))
        .output()
        .unwrap();
    assert!(stdout_of(&host).contains("memory"));
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v1"]
fn without_cgroup_v2_a_container_of_run_does_not_see_the_hosts_pressure() {
    let mut run = plimsoll();
    run.args(["run", "-m", "64M", "--", "ls", "-A", "/proc/pressure"]);
    assert_eq!(stdout_of(&run.output().unwrap()), "");
}
