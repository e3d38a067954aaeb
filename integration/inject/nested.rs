//! User namespaces in a container mount a procfs and a sysfs of their own, as they can without Plimsoll.

use crate::{
    harness::oci::{Bundle, configured},
    harness::{Daemon, field, plimsoll, stdout_of, wait_until},
};
use serde_json::json;
use std::fs;

/// Prints which of procfs and sysfs a user namespace in the container can mount.
const NESTED: &str = "\
/bin/busybox unshare -U -r -m -p -f /bin/busybox mount -t proc x /proc 2>/tmp/e && echo proc
/bin/busybox unshare -U -r -m -n /bin/busybox mount -t sysfs -o ro x /sys 2>/tmp/e && echo sys
true";

/// Makes a bundle with the capabilities with which a process makes a user namespace for root.
fn masked(runtime: &str) -> Bundle {
    let mut bundle = Bundle::new(runtime);
    let capabilities = &mut bundle.config["process"]["capabilities"];
    for set in ["bounding", "effective", "permitted"] {
        let set = capabilities[set].as_array_mut().unwrap();
        set.extend(["CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP"].map(Into::into));
    }
    bundle
}

/// Makes a bundle without masks, as with `docker run --privileged`.
fn unmasked(runtime: &str) -> Bundle {
    let mut bundle = masked(runtime);
    let linux = &mut bundle.config["linux"];
    linux["maskedPaths"] = json!([]);
    linux["readonlyPaths"] = json!([]);
    bundle
}

fn hooked(bundle: Bundle, stage: &str, daemon: &Daemon) -> Bundle {
    let view = daemon.mountpoint.to_str().unwrap();
    let args = ["--view", view, "--require", "--hook-timeout", "1m"];
    bundle.hook_at(stage, &args)
}

/// Asserts that a container mounts with the hook what it mounts without, and has its own files.
fn assert_mounts_as_without_the_hook(make: impl Fn() -> Bundle, expected: &str, daemon: &Daemon) {
    let alone = make().script(NESTED).run();
    assert_eq!(stdout_of(&alone), expected);
    for stage in ["createRuntime", "createContainer"] {
        let bundle = make().script(&format!("{NESTED}; cat /proc/meminfo"));
        let text = stdout_of(&hooked(bundle, stage, daemon).run());
        assert!(text.starts_with(expected), "{stage}: {text}");
        assert!(
            text[expected.len()..].starts_with("MemTotal"),
            "{stage}: {text}"
        );
        assert_eq!(field(&text, "MemTotal"), 64 << 10, "{stage}: {text}");
    }
}

fn mounts_what_it_mounts_without_the_hook(runtime: &str) {
    let daemon = Daemon::start();
    let check = |make: &dyn Fn() -> Bundle, expected| {
        assert_mounts_as_without_the_hook(make, expected, &daemon);
    };
    check(&|| unmasked(runtime), "proc\nsys\n");
    check(&|| unmasked(runtime).user_namespace(), "proc\nsys\n");
    // The bundle masks paths of /proc and none of /sys.
    check(&|| masked(runtime), "sys\n");
    let masked_sys = || {
        let mut bundle = unmasked(runtime);
        bundle.config["linux"]["maskedPaths"] = json!(["/sys/kernel"]);
        bundle
    };
    check(&masked_sys, "proc\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_user_namespace_in_a_container_of_crun_mounts_what_it_mounts_without_the_hook() {
    mounts_what_it_mounts_without_the_hook("crun");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_user_namespace_in_a_container_of_runc_mounts_what_it_mounts_without_the_hook() {
    mounts_what_it_mounts_without_the_hook("runc");
}

fn act(action: &[&str], pid: u32) {
    let (_directory, config) = configured("hook-timeout = \"1m\"");
    let mut command = plimsoll();
    command.args(action).args(["--config", &config]);
    stdout_of(&command.args(["--pid", &pid.to_string()]).output().unwrap());
}

/// Counts the mounts with these words in a container.
fn count(pid: u32, word: &str) -> usize {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    mounts.lines().filter(|line| line.contains(word)).count()
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_user_namespace_in_a_container_mounts_the_same_before_during_and_after_an_attach() {
    let mut daemon = Daemon::start();
    let bundle = unmasked("runc").script("exec sleep 1000");
    let pid = bundle.start();
    let before = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let view = daemon.mountpoint.to_str().unwrap().to_owned();
    for _ in 0..2 {
        act(&["attach", "--view", &view], pid);
        assert_eq!(bundle.exec(NESTED), "proc\nsys\n");
        assert_eq!(count(pid, "plimsoll-uncovered"), 1);
        let seen = bundle.exec("ls /sys/devices/system/cpu | grep -cw -e proc -e sys || true");
        assert_eq!(seen, "0\n");
    }
    act(&["detach"], pid);
    let after = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    assert_eq!(after, before);

    act(&["attach", "--view", &view], pid);
    daemon.kill();
    let next = Daemon::on(daemon.mountpoint.clone());
    let total = || bundle.exec("cat /proc/meminfo /sys/devices/system/cpu/online || true");
    wait_until("the files are replaced", || total().ends_with("\n0\n"));
    assert_eq!(bundle.exec(NESTED), "proc\nsys\n");
    drop(next);
    assert_eq!(count(pid, "plimsoll"), 0);
    assert_eq!(bundle.exec(NESTED), "proc\nsys\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_container_with_masks_gets_no_uncovered_copy_by_an_attach() {
    let daemon = Daemon::start();
    let mut bundle = unmasked("runc").script("exec sleep 1000");
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/version", "/sys/kernel"]);
    let pid = bundle.start();
    let view = daemon.mountpoint.to_str().unwrap();
    act(&["attach", "--view", view], pid);
    assert_eq!(bundle.exec(NESTED), "");
    assert_eq!(count(pid, "plimsoll-uncovered"), 0);
}
