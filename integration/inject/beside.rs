//! Processes in a container that have mount namespaces of their own, as systemd's services have with
//! `ProtectProc=`.

use crate::{
    harness::oci::{Bundle, configured},
    harness::{Daemon, children, field, host_memory_kib, plimsoll, stdout_of, wait_until},
};
use std::{
    fs,
    process::{Command, Output},
};

/// Makes a container whose processes may mount and have 256 MB of memory.
fn bundle(script: &str) -> Bundle {
    let mut bundle = Bundle::new("crun").script(script);
    let capabilities = &mut bundle.config["process"]["capabilities"];
    for set in ["bounding", "effective", "permitted"] {
        let set = capabilities[set].as_array_mut().unwrap();
        set.push("CAP_SYS_ADMIN".into());
    }
    bundle.config["linux"]["resources"]["memory"]["limit"] = (256 << 20).into();
    bundle
}

fn act(action: &[&str], pid: u32) -> Output {
    let (_directory, config) = configured("hook-timeout = \"1m\"");
    let mut command = plimsoll();
    command.args(action).args(["--config", &config]);
    command.args(["--pid", &pid.to_string()]);
    command.output().unwrap()
}

fn attach(daemon: &Daemon, pid: u32) -> Output {
    let view = daemon.mountpoint.to_str().unwrap();
    act(&["attach", "--view", view], pid)
}

/// Returns MemTotal in the mount namespace of a process, in KiB.
fn total(pid: u32) -> u64 {
    let mut command = Command::new("nsenter");
    let root = format!("--root=/proc/{pid}/root");
    command.args(["-t", &pid.to_string(), "-m", &root]);
    command.args(["/bin/busybox", "cat", "/proc/meminfo"]);
    field(&stdout_of(&command.output().unwrap()), "MemTotal")
}

fn has_fresh_proc(pid: u32) -> bool {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    mounts.matches(" - proc ").count() > 1 && mounts.matches(" /proc rw").count() > 1
}

const SERVICE: &str = "\
/bin/busybox unshare -m /bin/sh -c '/bin/busybox mount -t proc x /proc; exec /bin/busybox sleep 1000' &
exec /bin/busybox sleep 1000";

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_service_with_a_procfs_of_its_own_gets_the_view_of_its_container_and_loses_it() {
    let daemon = Daemon::start();
    let mut bundle = bundle(SERVICE);
    // The name of the cgroup makes this a container of Podman.
    let id = format!("{:012x}", std::process::id()) + &"b8".repeat(26);
    bundle.config["linux"]["cgroupsPath"] = format!("/libpod-{id}").into();
    let pid = bundle.start();
    let service = || children(pid).first().copied().unwrap_or_default();
    wait_until("the service has its procfs", || has_fresh_proc(service()));
    let service = service();
    assert_eq!(total(service), host_memory_kib());

    stdout_of(&attach(&daemon, pid));
    assert_eq!([total(pid), total(service)], [256 << 10; 2]);
    let said = stdout_of(&attach(&daemon, pid));
    assert!(said.contains("has its files"), "{said}");
    let sees_host = || {
        let output = plimsoll().arg("doctor").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains(&format!("process {service} in container {}", &id[..12]))
    };
    assert!(!sees_host());

    // What the service mounts later covers its files.
    let mut command = Command::new("nsenter");
    command.args(["-t", &service.to_string(), "-m", "-p"]);
    command.arg(format!("--root=/proc/{service}/root"));
    command.args(["/bin/busybox", "mount", "-t", "proc", "x", "/proc"]);
    assert!(command.status().unwrap().success());
    assert_eq!(total(service), host_memory_kib());
    assert!(sees_host());
    stdout_of(&attach(&daemon, pid));
    assert_eq!(total(service), 256 << 10);
    assert!(!sees_host());

    stdout_of(&act(&["detach"], pid));
    assert_eq!([total(pid), total(service)], [host_memory_kib(); 2]);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_stopped_daemon_leaves_no_file_in_the_mount_namespace_of_a_service() {
    let daemon = Daemon::start();
    let bundle = bundle(SERVICE);
    let pid = bundle.start();
    let service = || children(pid).first().copied().unwrap_or_default();
    wait_until("the service has its procfs", || has_fresh_proc(service()));
    let service = service();
    stdout_of(&attach(&daemon, pid));
    assert_eq!(total(service), 256 << 10);
    daemon.signal("-TERM");
    wait_until("the service sees the host again", || {
        let mounts = fs::read_to_string(format!("/proc/{service}/mountinfo")).unwrap();
        !mounts.contains("fuse.plimsoll")
    });
    assert_eq!(total(service), host_memory_kib());
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_with_hundreds_of_mount_namespaces_is_attached_and_one_problem_says_what_is_left() {
    let daemon = Daemon::start();
    let script = "\
for i in $(/bin/busybox seq 300); do /bin/busybox unshare -m /bin/busybox sleep 1000 & done
exec /bin/busybox sleep 1000";
    let bundle = bundle(script);
    let pid = bundle.start();
    wait_until("every process runs", || children(pid).len() == 300);
    let output = attach(&daemon, pid);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("more mount namespaces than 256"), "{said}");
    assert_eq!(total(pid), 256 << 10);
}
