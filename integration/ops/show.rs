//! `plimsoll show`: the files of a container, without a mount.

use crate::harness::{Cgroup, Daemon, plimsoll, stdout_of};
use std::fs;

const MIB: u64 = 1 << 20;

#[test]
#[ignore = "needs root and /dev/fuse"]
fn show_prints_the_files_of_the_container() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(100 * MIB);
    cgroup.limit_cpus("0");
    let served = cgroup.stdout(&daemon, "cat /proc/cpuinfo");
    let shown = plimsoll()
        .arg("show")
        .arg("--cgroup")
        .arg(cgroup.path())
        .arg("cpuinfo")
        .output();
    let without_clock = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("cpu MHz"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(
        without_clock(&stdout_of(&shown.unwrap())),
        without_clock(&served)
    );
    let own = plimsoll()
        .args([
            "show",
            "--pid",
            &std::process::id().to_string(),
            "/proc/swaps",
        ])
        .output()
        .unwrap();
    assert_eq!(stdout_of(&own), fs::read_to_string("/proc/swaps").unwrap());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn show_reports_a_mistake_in_one_line() {
    for (args, says) in [
        (
            vec!["show", "--pid", "1", "kcore"],
            "no such file is served",
        ),
        (vec!["show", "meminfo"], "--pid"),
        (
            vec!["show", "--cgroup", "/no/such", "stat"],
            "there is no cgroup /no/such: ",
        ),
        (
            vec!["show", "--pid", "4194304", "stat"],
            "there is no process 4194304",
        ),
    ] {
        let output = plimsoll().args(&args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(125), "{args:?}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
#[ignore = "needs root and cgroups"]
fn show_prints_the_answers_of_the_system_calls() {
    let cgroup = Cgroup::new();
    cgroup.limit_memory(64 * MIB);
    let show = |words: &[&str]| {
        let mut show = plimsoll();
        show.args(["show", "--cgroup"]).arg(cgroup.path());
        stdout_of(&show.args(words).output().unwrap())
    };
    let sysinfo = show(&["sysinfo"]);
    let total = format!("totalram:  {} bytes", 64 * MIB);
    assert!(sysinfo.lines().any(|line| line == total), "{sysinfo}");
    let online = show(&["cpu/online"]);
    let affinity = show(&["affinity"]);
    assert_eq!(
        affinity.lines().next(),
        Some(format!("cpus:      {}", online.trim()).as_str())
    );
    let json = show(&["sysinfo", "--explain", "-o", "json"]);
    let fields: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(fields[2]["name"], "totalram");
    assert!(fields[2]["decided_by"].is_string(), "{json}");
}

#[test]
#[ignore = "needs root and cgroups"]
fn a_process_of_the_host_gets_the_kernels_own_answers() {
    let pid = std::process::id().to_string();
    let show = |words: &[&str]| {
        let mut show = plimsoll();
        stdout_of(
            &show
                .args(["show", "--pid", &pid])
                .args(words)
                .output()
                .unwrap(),
        )
    };
    let field = |text: &str, name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total = field(&show(&["sysinfo"]), "totalram:");
    assert_eq!(total, field(&meminfo, "MemTotal:") * 1024);
    let mask = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    let allowed = (0..nix::sched::CpuSet::count()).filter(|cpu| mask.is_set(*cpu).unwrap());
    assert_eq!(
        field(&show(&["affinity"]), "count:"),
        allowed.count() as u64
    );
    assert!(show(&["affinity", "--explain"]).contains("the kernel's own answer"));
}

#[test]
#[ignore = "needs root and cgroups"]
fn show_explains_each_line_for_people_and_for_programs() {
    let cgroup = Cgroup::new();
    cgroup.limit_memory(64 * MIB);
    let show = |words: &[&str]| {
        let mut show = plimsoll();
        show.args(["show", "--cgroup"])
            .arg(cgroup.path())
            .args(words);
        show.output().unwrap()
    };
    let table = stdout_of(&show(&["meminfo", "--explain"]));
    let total = table.split("MemFree").next().unwrap();
    assert!(
        total.contains(&format!("{}", 64 * MIB)) && total.contains("decided by /"),
        "{total}"
    );
    let json = stdout_of(&show(&["/proc/stat", "--explain", "-o", "json"]));
    let lines: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(lines[0]["name"], "cpu");
    assert!(
        lines
            .iter()
            .all(|line| line["formula"].is_string() && line["inputs"].is_array())
    );
    let wrong = show(&["meminfo", "--explain", "-o", "yaml"]);
    assert!(!wrong.status.success());
    let mut host = plimsoll();
    let host = host
        .args([
            "show",
            "--pid",
            &std::process::id().to_string(),
            "uptime",
            "--explain",
        ])
        .output()
        .unwrap();
    assert!(stdout_of(&host).contains("the host's own"));
}
