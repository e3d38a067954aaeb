//! `plimsoll attach` and `detach`: running containers get their files, and lose them.

use crate::{
    harness::oci::{Bundle, patiently},
    harness::{Cgroup, Daemon, field, host_memory_kib, plimsoll, stdout_of},
};
use std::{
    fs,
    process::{Command, Output, Stdio},
};

/// Returns MemTotal in a container, in KiB.
fn total(bundle: &Bundle) -> u64 {
    field(&bundle.exec("cat /proc/meminfo"), "MemTotal")
}

fn attach(daemon: &Daemon, args: &[&str]) -> Output {
    let view = daemon.mountpoint.to_str().unwrap();
    patiently(&[&["attach", "--view", view], args].concat())
}

fn detach(args: &[&str]) -> Output {
    patiently(&[&["detach"], args].concat())
}

/// Attaches a container twice and detaches it twice. Verifies each output and the files of the container.
fn attaches_and_detaches(bundle: Bundle) {
    let daemon = Daemon::start();
    let bundle = bundle.script("exec sleep 1000");
    let pid = bundle.start().to_string();
    let pid = ["--pid", pid.as_str()];
    assert_eq!(total(&bundle), host_memory_kib());

    let planned = stdout_of(&attach(&daemon, &[pid[0], pid[1], "--dry-run"]));
    assert!(planned.contains("would be attached ("), "{planned}");
    assert_eq!(total(&bundle), host_memory_kib());

    let said = stdout_of(&attach(&daemon, &pid));
    assert!(said.contains(" attached ("), "{said}");
    assert_eq!(total(&bundle), 64 << 10);
    assert_eq!(bundle.exec("cat /sys/devices/system/cpu/online"), "0\n");

    let said = stdout_of(&attach(&daemon, &pid));
    assert!(said.contains("has its files"), "{said}");
    let mounts = bundle.exec("grep -c ' /proc/meminfo ' /proc/self/mountinfo");
    assert_eq!(mounts, "1\n");

    // Mounts of the container on a shared file would show in the view.
    let mounts = bundle.exec("grep plimsoll /proc/self/mountinfo");
    assert!(!mounts.contains("shared:"), "{mounts}");

    let said = stdout_of(&detach(&pid));
    assert!(said.contains(" detached ("), "{said}");
    assert_eq!(total(&bundle), host_memory_kib());
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    assert_eq!(bundle.exec("cat /sys/devices/system/cpu/online"), online);
    let said = stdout_of(&detach(&pid));
    assert!(said.contains("has none of our files"), "{said}");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_running_container_of_crun_gets_its_files_and_loses_them() {
    attaches_and_detaches(Bundle::new("crun"));
    attaches_and_detaches(Bundle::new("crun").user_namespace());
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_running_container_of_runc_gets_its_files_and_loses_them() {
    attaches_and_detaches(Bundle::new("runc"));
    attaches_and_detaches(Bundle::new("runc").user_namespace());
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn dead_files_of_a_lost_daemon_are_replaced() {
    let bundle = Bundle::new("crun").script("exec sleep 1000");
    let pid = bundle.start().to_string();
    let pid = ["--pid", pid.as_str()];
    let mut lost = Daemon::start();
    stdout_of(&attach(&lost, &pid));
    lost.kill();
    let daemon = Daemon::start();
    stdout_of(&attach(&daemon, &pid));
    assert_eq!(total(&bundle), 64 << 10);
    let mounts = bundle.exec("grep -c ' /proc/meminfo ' /proc/self/mountinfo");
    assert_eq!(mounts, "1\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_with_mounts_over_its_files_gets_no_file_there_and_one_line_says_so() {
    let daemon = Daemon::start();
    for (what, script, said) in [
        (
            "a tmpfs over /proc",
            "mount -t tmpfs x /proc && mkdir /proc/self && echo > /proc/meminfo && ln -s / /proc/stat",
            "/proc/meminfo in the container is not the kernel's own file: it lies in a file system of type tmpfs",
        ),
        (
            "a file over a file",
            "echo > /tmp/file && mount -o bind /tmp/file /proc/meminfo",
            "it lies in a file system of type tmpfs",
        ),
    ] {
        let bundle = Bundle::new("crun").script(&format!("{script}; exec sleep 1000"));
        let pid = bundle.start();
        crate::harness::wait_until("the container has made its mounts", || {
            let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
            mounts
                .lines()
                .filter(|line| line.contains(" /proc"))
                .count()
                > 2
                && mounts.contains("tmpfs")
        });
        std::thread::sleep(crate::harness::MAX_AGE);
        let pid = pid.to_string();
        let output = attach(&daemon, &["--pid", &pid]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{what}: {text}");
        assert!(
            text.contains(said) && text.lines().count() == 1,
            "{what}: {text}"
        );
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        let ours = mounts.lines().filter(|line| line.contains("plimsoll"));
        assert!(
            !ours.clone().any(|line| line.contains("/proc/meminfo ")),
            "{what}: {mounts}"
        );
    }
}

/// Returns the line of `doctor` about a container that has lost its files.
fn lost_line(id: &str) -> Option<String> {
    let output = plimsoll().arg("doctor").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let is_it = |line: &&str| line.contains(id) && line.contains("has lost its files");
    text.lines().find(is_it).map(str::to_owned)
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_was_attached_and_is_started_again_without_the_hook_is_named_by_doctor() {
    let daemon = Daemon::start();
    let mut bundle = Bundle::new("crun").script("exec sleep 1000");
    // The name of the cgroup makes this a container of Podman.
    let id = format!("{:012x}", std::process::id()) + &"a7".repeat(26);
    bundle.config["linux"]["cgroupsPath"] = format!("/libpod-{id}").into();
    bundle.start();
    stdout_of(&attach(&daemon, &[&id]));
    assert_eq!(total(&bundle), 64 << 10);
    assert_eq!(lost_line(&id[..12]), None);

    bundle.restart();
    assert_eq!(total(&bundle), host_memory_kib());
    let said = lost_line(&id[..12]).expect("doctor names no container");
    assert!(said.starts_with("warning  containers"), "{said}");
    let fix = format!("-> plimsoll attach {}; plimsoll install podman", &id[..12]);
    assert!(said.contains(&fix), "{said}");

    stdout_of(&attach(&daemon, &[&id]));
    assert_eq!(lost_line(&id[..12]), None);
    stdout_of(&detach(&[&id]));
    assert_eq!(lost_line(&id[..12]), None);
    bundle.restart();
    assert_eq!(lost_line(&id[..12]), None);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_process_of_the_host_is_no_container() {
    let daemon = Daemon::start();
    let own = std::process::id().to_string();
    let output = attach(&daemon, &["--pid", &own]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("is one of the host itself"), "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_unknown_container_is_refused_in_one_line() {
    let daemon = Daemon::start();
    let output = attach(&daemon, &["no-such-container"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125));
    let said = "plimsoll: no container is called no-such-container: name one that runs, by its name, its id or --pid\n";
    assert_eq!(error, said);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_json_of_a_failed_attach_names_the_process_and_the_problem() {
    let daemon = Daemon::start();
    let own = std::process::id().to_string();
    let output = attach(&daemon, &["--pid", &own, "-o", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["pid"].to_string(), own);
    assert_eq!(rows[0]["state"], "failed");
    assert_eq!(rows[0]["problems"].as_array().map(Vec::len), Some(1));
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_container_is_found_by_the_name_that_its_engine_shows_and_a_stranger_by_its_cgroup() {
    let daemon = Daemon::start();
    let id = |digit: &str| digit.repeat(64);
    let (quadlet, nerdctl) = (id("e"), id("f"));
    for (path, name, shown) in [
        ("lxc/90101/ns", "90101", "lxc "),
        (
            &format!("x.service/libpod-payload-{quadlet}"),
            &quadlet,
            "podman ",
        ),
        (
            &format!("x.slice/nerdctl-{nerdctl}.scope"),
            "ffffffff",
            "containerd ",
        ),
        ("garden/good/90102", "90102", "garden "),
        ("engine-without-a-name/90103", "90103", "other "),
    ] {
        let mut cgroups = vec![Cgroup::new()];
        for part in path.split('/') {
            cgroups.push(cgroups[cgroups.len() - 1].child(part));
        }
        cgroups.reverse();
        cgroups[0].limit_memory(64 << 20);
        let join = cgroups[0].join("$$");
        let script = format!(
            "{join} exec unshare -pfm --kill-child --mount-proc sh -c 'echo up; sleep 1000'"
        );
        let mut shell = Command::new("sh");
        let mut shell = shell
            .args(["-ec", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut up).unwrap();
        let said = attach(&daemon, &["--dry-run", name]);
        shell.kill().unwrap();
        shell.wait().unwrap();
        let said = stdout_of(&said);
        assert!(
            said.starts_with(shown) && said.contains("would be attached ("),
            "{path}: {said}"
        );
    }
}
