//! The findings of `plimsoll doctor`, on captured machines and on this one.

use crate::harness::{
    Cgroup, Daemon, field, file_tree, oci::patiently, plimsoll, read_line, stop, wait_until,
};
use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output, Stdio},
};

/// A machine with Docker that is set up and Podman that is not, on an older kernel with lxcfs.
const MACHINE: [(&str, &str); 18] = [
    ("proc/sys/kernel/osrelease", "6.8.0-31-generic\n"),
    (
        "proc/self/mountinfo",
        "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
         25 24 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
         26 24 0:30 / /var/lib/plimsoll rw - fuse.plimsoll plimsoll:/var/lib/plimsoll rw\n\
         27 26 0:31 / /var/lib/plimsoll/containers ro - fuse.plimsoll plimsoll:/var/lib/plimsoll rw\n\
         28 24 0:32 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw\n",
    ),
    (
        "sys/fs/cgroup/cgroup.controllers",
        "cpuset cpu io memory pids\n",
    ),
    ("sys/fs/cgroup/cgroup.subtree_control", "cpu memory pids\n"),
    (
        "proc/pressure/cpu",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    ),
    ("proc/self/ns/time", ""),
    ("dev/fuse", ""),
    ("proc/sys/fs/fuse/max_request_timeout", "8\n"),
    ("sys/power/suspend_stats/failed_freeze", "3\n"),
    ("proc/sys/user/max_mnt_namespaces", "95000\n"),
    ("run/plimsoll/daemon-var-lib-plimsoll.pid", "700"),
    ("proc/700/comm", "plimsoll\n"),
    ("proc/700/status", "Name:\tplimsoll\nPPid:\t1\n"),
    ("proc/700/cgroup", "0::/system.slice/plimsoll.service\n"),
    ("usr/bin/dockerd", ""),
    (
        "etc/docker/daemon.json",
        "{\n  \"default-runtime\": \"plimsoll\",\n  \"runtimes\": {\"plimsoll\": {\"path\": \"/usr/bin/plimsoll-runtime\"}}\n}\n",
    ),
    ("usr/bin/podman", ""),
    (
        "usr/share/lxc/config/common.conf.d/00-lxcfs.conf",
        "lxc.hook.mount = /usr/share/lxcfs/lxc.mount.hook\n",
    ),
];

/// The findings on that machine.
const FOUND: &str = r#"
ok       kernel      Linux 6.8.0-31-generic: a dead file in a container is replaced at once
note     kernel      before Linux 6.9 a read that a dying daemon has taken fails with EINTR
ok       fuse        /dev/fuse is there
warning  fuse        fs.fuse.max_request_timeout is 8: if the daemon hangs, the kernel ends its connections before the watchdog acts, and reads fail until the next daemon has repaired the containers -> sysctl -w fs.fuse.max_request_timeout=0 (or 20), and in /etc/sysctl.d; this holds from the next mount of the daemon on
note     fuse        a suspend failed 3 times since the boot because a process did not freeze: the kernel cannot freeze a process that reads the view while the daemon is frozen already -> freeze the containers before a suspend (cgroup.freeze), or suspend again
ok       cgroup      version 2
warning  cgroup      a container sees CPUs by its quota alone, not by its cpuset: there is no controller cpuset below the root -> echo +cpuset > /sys/fs/cgroup/cgroup.subtree_control
ok       daemon      the daemon serves /var/lib/plimsoll: unknown version, pid 700, under systemd
ok       docker      unknown version; every container gets the view by /etc/docker/daemon.json
warning  podman      unknown version; no container gets the view -> plimsoll install podman
note     lxcfs       lxcfs serves /var/lib/lxcfs: containers of LXC and Incus see the files of lxcfs, not Plimsoll's -> install the package plimsoll-lxcfs in the place of lxcfs
note     limitation  nproc, Go, Ruby, OpenMP, MariaDB and others that ask sched_getaffinity count the machine's CPUs, unless a container has a cpuset
note     limitation  free and uptime of busybox, getloadavg, Redis and others that ask sysinfo see the machine's memory and load
note     limitation  iostat and btop read /sys/block, which is the machine's
"#;

fn doctor(words: &[&str]) -> Output {
    plimsoll().arg("doctor").args(words).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn each_finding_on_a_captured_machine_is_a_line_with_its_fix() {
    let root = file_tree(&MACHINE);
    let output = doctor(&["--root", root.path().to_str().unwrap()]);
    assert_eq!(text(&output), FOUND.trim_start());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_json_of_doctor_has_the_same_findings() {
    let root = file_tree(&MACHINE);
    let output = doctor(&["--root", root.path().to_str().unwrap(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), FOUND.trim().lines().count());
    let expected = serde_json::json!({
        "level": "warning",
        "subject": "podman",
        "finding": "unknown version; no container gets the view",
        "fix": "plimsoll install podman",
    });
    assert!(found.contains(&expected), "{found:?}");
    let expected = serde_json::json!({
        "level": "ok", "subject": "fuse", "finding": "/dev/fuse is there", "fix": null,
    });
    assert!(found.contains(&expected), "{found:?}");
}

#[test]
fn a_machine_without_a_daemon_is_an_error_and_an_unreadable_one_is_one_line() {
    let some: Vec<_> = MACHINE
        .into_iter()
        .filter(|(path, _)| !path.starts_with("proc/700") && *path != "dev/fuse")
        .collect();
    let root = file_tree(&some);
    let output = doctor(&["--root", root.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let found = text(&output);
    assert!(found.contains("error    fuse        there is no /dev/fuse -> modprobe fuse\n"));
    assert!(
        found.contains("error    daemon      the daemon is dead"),
        "{found}"
    );

    let empty = file_tree(&[]);
    let output = doctor(&["--root", empty.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(
        output.stderr.iter().filter(|byte| **byte == b'\n').count(),
        1
    );
}

/// Returns the line of `doctor` about the daemon of that mount point.
fn of_the_daemon(mountpoint: &Path) -> String {
    let output = doctor(&[mountpoint.to_str().unwrap()]);
    let text = text(&output);
    let mut lines = text.lines();
    let line = lines.find(|line| line.split_whitespace().nth(1) == Some("daemon"));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn doctor_tells_a_daemon_that_serves_from_one_that_hangs_and_one_that_died() {
    let mut daemon = Daemon::start();
    let at = daemon.mountpoint.clone();
    let version = env!("CARGO_PKG_VERSION");
    let said = of_the_daemon(&at);
    let (begin, end) = ("ok       daemon      the daemon serves", "with a keeper");
    assert!(said.starts_with(begin) && said.ends_with(end), "{said}");
    assert!(said.contains(&format!(": {version}, pid {}", daemon.pid())));

    // The keeper would replace a hanging daemon after a time.
    stop(daemon.pid());
    let said = of_the_daemon(&at);
    assert!(said.contains("the daemon hangs"), "{said}");
    assert!(said.contains("-> plimsoll daemon --replace"), "{said}");

    daemon.kill();
    let said = of_the_daemon(&at);
    assert!(
        said.starts_with("error    daemon      the daemon is dead"),
        "{said}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn dead_files_in_a_container_are_found_and_living_ones_are_not() {
    let mut daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(64 << 20);
    let mut container = cgroup
        .shell_on(&daemon.mountpoint, "cat /proc/meminfo; read line")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let line = read_line(container.stdout.as_mut().unwrap());
    assert_eq!(field(&line, "MemTotal"), 64 << 10);
    let view = daemon.mountpoint.to_str().unwrap().to_owned();
    let dead = || {
        let found = text(&doctor(&[&view]));
        let mut lines = found
            .lines()
            .filter(|line| line.contains(" dead files of "));
        lines.find(|line| line.contains(&view)).map(str::to_owned)
    };
    assert_eq!(dead(), None);
    daemon.kill();
    wait_until("the files of the container are dead", || dead().is_some());
    let said = dead().unwrap();
    assert!(said.starts_with("error    containers"), "{said}");
    assert!(said.ends_with(&format!(
        "plimsoll daemon {view}, which replaces dead files when it starts"
    )));
    let _ = container.stdin.take().unwrap().write_all(b"\n");
    container.wait().unwrap();
}

#[test]
fn generate_makes_a_man_page_for_each_command_and_completions_of_three_shells() {
    let place = tempfile::tempdir().unwrap();
    let made = |what: &str, below: &str| {
        let at = place.path().join(what);
        let output = plimsoll().arg("generate").arg(what).arg(&at).output();
        assert!(output.unwrap().status.success());
        let at = at.join(below);
        let mut names: Vec<String> = fs::read_dir(at)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let pages = made("man", "man1");
    for page in [
        "plimsoll.1",
        "plimsoll-daemon.1",
        "plimsoll-doctor.1",
        "plimsoll-ps.1",
    ] {
        assert!(pages.contains(&page.to_owned()), "{pages:?}");
    }
    // A command that users do not type has no page.
    assert!(!pages.contains(&"plimsoll-hook.1".to_owned()));
    let page = fs::read_to_string(place.path().join("man/man1/plimsoll-doctor.1")).unwrap();
    assert!(page.contains(".SH NAME\nplimsoll\\-doctor"), "{page}");
    assert!(page.contains("Exit status: 0"), "{page}");
    assert_eq!(made("man", "man5"), ["plimsoll-config.toml.5"]);
    let completions = made("completions", "");
    assert_eq!(completions, ["_plimsoll", "plimsoll.bash", "plimsoll.fish"]);
}

#[test]
fn doctor_looks_for_the_configured_daemon_and_reports_a_mistake_in_the_configuration() {
    let mut files = MACHINE.to_vec();
    files.push(("etc/plimsoll/config.toml", "mountpoint = \"/elsewhere\""));
    let root = file_tree(&files);
    let output = doctor(&["--root", root.path().to_str().unwrap()]);
    let found = text(&output);
    assert!(found.contains("/elsewhere"), "{found}");

    files.pop();
    files.push(("etc/plimsoll/config.toml", "mountpont = 1"));
    let root = file_tree(&files);
    let output = doctor(&["--root", root.path().to_str().unwrap()]);
    let found = text(&output);
    let first = found.lines().next().unwrap();
    assert!(first.starts_with("error    config"), "{found}");
    assert!(first.contains("config.toml: line 1: "), "{found}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn doctor_reads_a_configuration_by_its_path_from_the_working_directory() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("bad.toml"), "a = [").unwrap();
    for (name, said) in [
        ("bad.toml", "bad.toml: line 1: "),
        ("no.toml", "there is no configuration no.toml"),
    ] {
        let mut command = plimsoll();
        command
            .args(["doctor", "--config", name])
            .current_dir(place.path());
        let found = text(&command.output().unwrap());
        let first = found.lines().next().unwrap();
        assert!(first.starts_with("error    config"), "{found}");
        assert!(first.contains(said), "{found}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_that_was_moved_after_its_files_were_mounted_is_found_and_attached_again() {
    let daemon = Daemon::start();
    let mountpoint = daemon.mountpoint.to_str().unwrap();
    let (first, second) = (Cgroup::new(), Cgroup::new());
    first.limit_memory(64 << 20);
    second.limit_memory(96 << 20);
    let script = format!(
        "{}exec unshare -pfm --kill-child --mount-proc --propagation private sh -ec \
        'mount --bind {mountpoint}/containers/self/proc/meminfo /proc/meminfo; echo bound; read x; head -1 /proc/meminfo'",
        first.join("$$")
    );
    let mut shell = Command::new("sh");
    let shell = shell.args(["-ec", &script]);
    let shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    assert_eq!(read_line(shell.stdout.as_mut().unwrap()), "bound\n");
    assert!(!text(&doctor(&[mountpoint])).contains("was moved to"));
    let procs = first.directory("memory").join("cgroup.procs");
    let pids = fs::read_to_string(procs).unwrap();
    for pid in pids.lines() {
        for procs in second.procs() {
            fs::write(procs, pid).unwrap();
        }
    }
    let found = text(&doctor(&[mountpoint]));
    let moved = format!("and the container was moved to {}", second.path().display());
    let line = found.lines().find(|line| line.contains(&moved));
    let fix = line.unwrap_or_else(|| panic!("{found}")).rsplit(' ').next();
    let attached = patiently(&["attach", "--view", mountpoint, "--pid", fix.unwrap()]);
    assert!(attached.status.success(), "{attached:?}");
    assert!(!text(&doctor(&[mountpoint])).contains("was moved to"));
    shell.stdin.take().unwrap().write_all(b"\n").unwrap();
    let read = read_line(shell.stdout.as_mut().unwrap());
    shell.wait().unwrap();
    assert_eq!(field(&read, "MemTotal"), 96 << 10);
}
