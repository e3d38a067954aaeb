//! A daemon that lacks descriptors or memory, or whose state is corrupt: its readers get an error or their own
//! numbers, never the host's.

use super::{Guest, MIB, handover::ask};
use crate::harness::{Cgroup, Daemon, field, is_v2, kill, wait_until};
use plimsoll::serve::handover::Name;
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    process::Command,
};

const FILES: &str = "/proc/meminfo /proc/swaps /proc/uptime /proc/stat /proc/vmstat";

/// Sets a soft limit of a process.
fn limit(pid: u32, what: &str) {
    let limits = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), what])
        .status();
    assert!(limits.unwrap().success());
}

/// Starts a daemon, and a container that has read its memory from it.
fn start_with_guest() -> (Daemon, Guest) {
    let daemon = Daemon::start();
    let mut guest = Guest::of(&daemon);
    let meminfo = guest.run("cat /proc/meminfo");
    assert_eq!(field(&meminfo, "MemTotal"), 64 << 10);
    (daemon, guest)
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and prlimit"]
fn without_a_descriptor_left_a_reader_gets_eio_or_its_own_numbers() {
    let (daemon, mut known) = start_with_guest();
    let mut new = Guest::of(&daemon);
    new.run("true");
    limit(daemon.pid(), "--nofile=3:");
    let before = daemon.pid();
    for guest in [&mut known, &mut new] {
        for _ in 0..5 {
            let said = guest.run("cat /proc/meminfo");
            match said.contains("MemTotal") {
                true => assert_eq!(field(&said, "MemTotal"), 64 << 10),
                false => assert!(said.contains("Input/output error"), "{said}"),
            }
        }
        guest.run(&format!("cat {FILES} /sys/devices/system/cpu/online"));
    }
    limit(before, "--nofile=1024:");
    for guest in [&mut known, &mut new] {
        assert_eq!(field(&guest.run("cat /proc/meminfo"), "MemTotal"), 64 << 10);
    }
    assert_eq!(daemon.pid(), before);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and python3"]
fn a_daemon_that_is_killed_for_lack_of_memory_is_followed_by_one_that_goes_on() {
    let (daemon, mut guest) = start_with_guest();
    let before = daemon.pid();
    let narrow = Cgroup::new();
    narrow.limit_memory(512 << 10);
    if is_v2() {
        // With swap the kernel would swap the daemon out and not kill it.
        narrow.limit_swap(0);
    }
    for procs in narrow.procs() {
        fs::write(procs, before.to_string()).unwrap();
    }
    // The daemon keeps the content of open files in its memory.
    let script = "import resource, time\nresource.setrlimit(resource.RLIMIT_NOFILE, (3000, 3000))\nfiles = []\nfor n in range(250):\n  for name in [\"stat\", \"meminfo\", \"vmstat\"]:\n    \
        f = open(\"/proc/\" + name, \"rb\", buffering=0); files.append(f); len(f.read(9)) == 9 or print(\"short\")\n  \
        len(files) < 900 or files.clear()\n  time.sleep(0.012)\nprint(\"all read\")";
    let file = std::env::temp_dir().join(format!("plimsoll-test-memory-{}", std::process::id()));
    fs::write(&file, script).unwrap();
    let said = guest.run(&format!("python3 {}", file.display()));
    fs::remove_file(file).unwrap();
    assert_eq!(said, "all read\n");
    assert_ne!(daemon.pid(), before, "the daemon had memory enough");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_daemon_with_a_corrupt_state_starts_anew_and_repairs_the_containers() {
    let (daemon, mut guest) = start_with_guest();
    let before = daemon.pid();
    corrupt_state(&daemon);
    kill("KILL", before);
    wait_until("the container is repaired", || {
        let seen = guest.run("cat /proc/meminfo");
        let is_whole = seen.contains("MemTotal");
        assert!(!is_whole || field(&seen, "MemTotal") == 64 << 10, "{seen}");
        is_whole
    });
}

/// Overwrites the state that the daemon leaves to a successor.
pub(super) fn corrupt_state(daemon: &Daemon) {
    let (_, mut held) = ask(&daemon.mountpoint);
    let state = File::from(held.take(&Name::State).unwrap());
    state.write_all_at(&[0xa5; 4096], 0).unwrap();
    assert!(state.metadata().unwrap().len() < 64 * MIB);
}
