//! Programs that people ask about a machine, in a container of 256 MB and one CPU of several: what
//! each prints of it. Those that ask by a system call, which no file answers, are listed at the
//! end with what they print today.

use crate::harness::{plimsoll, printed};
use std::process::Command;

fn inside(words: &[&str]) -> String {
    let mut run = plimsoll();
    run.args(["run", "-m", "256M", "--cpus", "1", "--"])
        .args(words);
    printed(&run.output().unwrap())
}

fn shell(script: &str) -> String {
    inside(&["bash", "-c", script])
}

fn outside(script: &str) -> String {
    printed(&Command::new("bash").args(["-c", script]).output().unwrap())
}

/// What stands behind `name` and a colon.
fn value<'text>(text: &'text str, name: &str) -> &'text str {
    let line = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in: {text}"))
        .trim()
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn lscpu_finds_one_cpu_its_caches_and_its_node() {
    let text = inside(&["lscpu"]);
    assert_eq!(value(&text, "CPU(s)"), "1");
    assert_eq!(value(&text, "On-line CPU(s) list"), "0");
    assert_eq!(value(&text, "Core(s) per socket"), "1");
    assert_eq!(value(&text, "Socket(s)"), "1");
    assert_eq!(value(&text, "NUMA node0 CPU(s)"), "0");
    for line in text.lines().filter(|line| line.contains(" cache:")) {
        assert!(line.ends_with("(1 instance)"), "{line}");
    }
    let table = inside(&["lscpu", "-p=CPU,CORE,SOCKET,NODE"]);
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(rows, ["0,0,0,0"]);
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn mpstat_and_sar_count_one_cpu_that_is_idle() {
    let text = inside(&["mpstat", "-P", "ALL", "1", "1"]);
    assert!(text.lines().next().unwrap().ends_with("(1 CPU)"), "{text}");
    let average: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("Average:"))
        .collect();
    assert_eq!(average.len(), 3, "{text}");
    let idle: f64 = average[2]
        .split_whitespace()
        .last()
        .unwrap()
        .parse()
        .unwrap();
    assert!(idle > 80.0, "{text}");
    let sar = inside(&["sar", "-r", "1", "1"]);
    let last = sar.lines().last().unwrap();
    let columns: Vec<f64> = last
        .split_whitespace()
        .skip(1)
        .map(|word| word.parse().unwrap())
        .collect();
    // kbmemfree, kbavail, kbmemused
    assert!(
        columns[0] <= 262_144.0 && columns[0] + columns[2] <= 262_144.0,
        "{sar}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn numactl_and_numastat_find_a_node_of_the_containers_size() {
    let text = inside(&["numactl", "-H"]);
    assert_eq!(value(&text, "available"), "1 nodes (0)");
    assert_eq!(value(&text, "node 0 cpus"), "0");
    assert_eq!(value(&text, "node 0 size"), "256 MB");
    let numastat = inside(&["numastat", "-m"]);
    let total = numastat
        .lines()
        .find(|line| line.starts_with("MemTotal"))
        .unwrap();
    assert_eq!(
        total.split_whitespace().collect::<Vec<_>>(),
        ["MemTotal", "256.00", "256.00"]
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn hwloc_finds_one_processing_unit_and_the_containers_memory() {
    let text = inside(&["lstopo-no-graphics", "--no-io"]);
    assert!(text.starts_with("Machine (256MB total)"), "{text}");
    assert_eq!(text.matches("PU L#").count(), 1, "{text}");
    assert!(text.contains("NUMANode L#0 (P#0 256MB)"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn htop_draws_one_cpu_and_the_containers_memory() {
    let script = "stty() { :; }; COLUMNS=120 LINES=40 TERM=xterm timeout 4 script -qec 'htop -C -d 10' /dev/null </dev/null; true";
    let text = shell(script);
    assert!(text.contains("/256M"), "{text}");
    assert!(!text.contains("  1[") || !text.contains("  2["), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn those_that_list_the_directories_of_cpus_count_one() {
    assert_eq!(inside(&["busybox", "nproc", "--all"]), "1\n");
    assert_eq!(
        shell("ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l"),
        "1\n"
    );
    // What R's detectCores runs.
    assert_eq!(
        shell("grep '^processor' /proc/cpuinfo 2>/dev/null | wc -l"),
        "1\n"
    );
    assert_eq!(inside(&["getconf", "_NPROCESSORS_ONLN"]), "1\n");
    let script = "import os, multiprocessing, psutil; print(os.cpu_count(), multiprocessing.cpu_count(), psutil.cpu_count(logical=False))";
    assert_eq!(inside(&["/usr/bin/python3", "-c", script]), "1 1 1\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn psutil_finds_times_and_swap_of_the_container() {
    let script = "import psutil, time; print(psutil.swap_memory().total, len(psutil.cpu_times(percpu=True)), \
        time.time() - psutil.boot_time() < 60, psutil.cpu_percent(1) < 50)";
    let text = inside(&["/usr/bin/python3", "-c", script]);
    assert!(text.ends_with(" 1 True True\n"), "{text}");
}

/// The same as on the host, as long as nothing answers for the kernel.
fn not_yet(program: &str) {
    assert_eq!(
        shell(program),
        outside(program),
        "{program} is answered now: it belongs above"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn whoever_asks_for_the_affinity_still_counts_the_hosts_cpus() {
    not_yet("nproc");
    not_yet("busybox nproc");
    not_yet("/usr/bin/python3 -c 'import os; print(len(os.sched_getaffinity(0)))'");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn whoever_asks_sysinfo_still_finds_the_hosts_memory() {
    not_yet("getconf _PHYS_PAGES");
    not_yet("busybox free | awk '/^Mem/ { print $2 }'");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn all_possible_cpus_are_the_hosts_on_purpose() {
    not_yet("nproc --all");
    not_yet("getconf _NPROCESSORS_CONF");
}
