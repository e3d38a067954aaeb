//! Tools of administrators, and collectors of monitoring systems.

use super::{inside, shell, value, words};
use crate::harness::is_v2;

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
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
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
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
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
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
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn hwloc_finds_one_processing_unit_and_the_containers_memory() {
    let text = inside(&["lstopo-no-graphics", "--no-io"]);
    assert!(text.starts_with("Machine (256MB total)"), "{text}");
    assert_eq!(text.matches("PU L#").count(), 1, "{text}");
    assert!(text.contains("NUMANode L#0 (P#0 256MB)"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn htop_draws_one_cpu_and_the_containers_memory() {
    // An emulated machine may take long to draw it.
    let script = "export COLUMNS=120 LINES=40 TERM=xterm; script -qfec 'htop -C -d 10' /tmp/screen </dev/null >/dev/null 2>&1 & \
        for _ in {1..100}; do sleep 0.3; grep -aq /256M /tmp/screen && break; done; cat /tmp/screen; exit 0";
    let text = shell(script);
    assert!(text.contains("/256M"), "{text}");
    assert!(!text.contains("  1[") || !text.contains("  2["), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn those_that_list_the_directories_of_cpus_count_one() {
    assert_eq!(inside(&["busybox", "nproc", "--all"]), "1\n");
    assert_eq!(
        shell("ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l"),
        "1\n"
    );
    // R's detectCores runs this command.
    assert_eq!(
        shell("grep '^processor' /proc/cpuinfo 2>/dev/null | wc -l"),
        "1\n"
    );
    assert_eq!(inside(&["getconf", "_NPROCESSORS_ONLN"]), "1\n");
    let script = "import os, multiprocessing, psutil; print(os.cpu_count(), multiprocessing.cpu_count(), psutil.cpu_count(logical=False))";
    assert_eq!(inside(&["/usr/bin/python3", "-c", script]), "1 1 1\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn psutil_finds_times_and_swap_of_the_container() {
    let script = "import psutil, time; print(psutil.swap_memory().total, len(psutil.cpu_times(percpu=True)), \
        time.time() - psutil.boot_time() < 60, psutil.cpu_percent(1) < 50)";
    let text = inside(&["/usr/bin/python3", "-c", script]);
    assert!(text.ends_with(" 1 True True\n"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn w_and_iostat_find_the_containers_age_and_its_cpu() {
    let text = shell("w | head -1");
    assert!(text.contains("up 0 min"), "{text}");
    let load = text.rsplit("average: ").next().unwrap();
    let load: f64 = load.split(',').next().unwrap().parse().unwrap();
    assert!(load <= 1.0, "{text}");
    let text = inside(&["iostat", "-c", "1", "1"]);
    assert!(text.lines().next().unwrap().ends_with("(1 CPU)"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn lsmem_finds_none_of_the_hosts_memory_blocks() {
    let text = shell("lsmem 2>&1; ls -A /sys/devices/system/memory 2>/dev/null; true");
    assert!(!text.contains("0x"), "{text}");
    assert!(!text.contains("block_size_bytes\n"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and glances"]
fn glances_shows_the_containers_memory_cpu_and_age() {
    let text = shell("glances --stdout-json mem,core,uptime --stop-after 1");
    assert!(
        value(&text, "mem").contains("\"total\":268435456,"),
        "{text}"
    );
    assert!(
        value(&text, "core").contains(r#"{"phys":1,"log":1}"#),
        "{text}"
    );
    assert!(value(&text, "uptime").contains("\"0:0"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and atop"]
fn atop_shows_the_containers_cpu_memory_and_pressure() {
    let text = inside(&["atop", "-P", "CPU,CPL,MEM,PSI", "1", "1"]);
    // Label, host, seconds, date, time, interval, and what atop(1) lists for the label.
    let (cpu, load) = (words(&text, "CPU"), words(&text, "CPL"));
    assert_eq!((cpu[7], load[6]), ("1", "1"), "{text}");
    assert!(load[7].parse::<f64>().unwrap() <= 1.0, "{text}");
    let memory: Vec<u64> = words(&text, "MEM")[6..9]
        .iter()
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!(memory[0] * memory[1], 256 << 20, "{text}");
    assert!(memory[2] <= memory[1], "{text}");
    // The microseconds that something waited for a CPU; none where there is no pressure.
    let waited: u64 = words(&text, "PSI")[10].parse().unwrap();
    assert!(waited < 60_000_000 && (is_v2() || waited == 0), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and btop"]
fn btop_draws_one_core_the_containers_memory_and_age() {
    let script = "export HOME=/tmp TERM=xterm-256color LANG=C.UTF-8; \
        timeout 9 script -qec 'stty rows 50 cols 160; btop --utf-force -p 0' /tmp/drawn </dev/null >/dev/null 2>&1; \
        sed 's/\\x1b\\[[0-9;?]*[a-zA-Z]/ /g' /tmp/drawn | tr -s ' ' | tr -d '\\r'";
    let text = shell(script);
    assert!(text.contains("C 0") && !text.contains("C 1"), "{text}");
    assert!(text.contains("256 MiB"), "{text}");
    assert!(text.contains("up 00:0"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and fastfetch"]
fn fastfetch_shows_one_cpu_online_and_the_containers_memory_age_and_load() {
    let shown = "CPU:Memory:Uptime:Loadavg";
    let text = inside(&["fastfetch", "--format", "json", "--structure", shown]);
    let number = |name: &str| -> u64 {
        let line = text.split(&format!("\"{name}\":")).nth(1).unwrap();
        line.trim_start()
            .split(|letter: char| !letter.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!((number("physical"), number("online")), (1, 1), "{text}");
    assert_eq!(number("total"), 256 << 20, "{text}");
    assert!(number("uptime") < 120_000, "{text}");
    let load = text.rsplit("\"result\": [").next().unwrap().trim_start();
    assert!(load.starts_with("0.") || load.starts_with("1."), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and inxi"]
fn inxi_finds_a_single_core_and_the_containers_memory() {
    let text = inside(&["inxi", "-c0", "-C", "-m", "-I"]);
    assert!(text.contains("Info: single core"), "{text}");
    assert!(text.contains("available: 256 MiB"), "{text}");
    assert!(text.contains("Uptime: 0m"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, curl and prometheus-node-exporter"]
fn the_node_exporter_exports_the_container() {
    let script = "prometheus-node-exporter --web.listen-address=127.0.0.1:9100 2>/dev/null & \
        curl -s --retry 30 --retry-delay 1 --retry-connrefused 127.0.0.1:9100/metrics; kill $!";
    let text = shell(script);
    let number = |name: &str| -> f64 { words(&text, name)[1].parse().unwrap() };
    assert_eq!(number("node_memory_MemTotal_bytes"), 268_435_456.0);
    assert!(number("node_memory_MemAvailable_bytes") <= 268_435_456.0);
    let age = number("node_time_seconds") - number("node_boot_time_seconds");
    assert!((0.0..120.0).contains(&age), "{age}");
    let cpus = text.matches("node_cpu_seconds_total{").count();
    let first = text.matches("node_cpu_seconds_total{cpu=\"0\"").count();
    assert!(cpus == first && cpus > 0, "{text}");
    let waited = text.contains("node_pressure_cpu_waiting_seconds_total ");
    assert_eq!(waited, is_v2(), "{text}");
}

/// The configuration of collectd: the count of CPUs beside their times, and defaults.
const COLLECTD: &str = r#"
    Hostname me
    BaseDir "/tmp"
    PIDFile "/tmp/pid"
    PluginDir "/usr/lib/collectd"
    TypesDB "/usr/share/collectd/types.db"
    Interval 1
    LoadPlugin cpu
    LoadPlugin csv
    LoadPlugin load
    LoadPlugin memory
    LoadPlugin swap
    LoadPlugin uptime
    <Plugin cpu>
        ReportNumCpu true
    </Plugin>
    <Plugin csv>
        DataDir stdout
    </Plugin>
"#;

/// Returns the values that collectd collects in some seconds, a line for each.
pub(super) fn collect() -> String {
    shell(&format!(
        "echo '{COLLECTD}' >/tmp/conf; timeout 8 collectd -f -C /tmp/conf | grep ^PUTVAL"
    ))
}

/// Returns the last number of that name.
pub(super) fn last(collected: &str, name: &str) -> f64 {
    let line = collected.lines().rev().find(|line| line.contains(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in: {collected}"));
    line.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and collectd"]
fn collectd_collects_the_container() {
    let text = collect();
    let total: f64 = [
        "used",
        "buffered",
        "cached",
        "free",
        "slab_unrecl",
        "slab_recl",
    ]
    .iter()
    .map(|part| last(&text, &format!("/memory-{part} ")))
    .sum();
    assert!(
        (total - 268_435_456.0).abs() < 65_536.0,
        "{total} of: {text}"
    );
    assert_eq!(last(&text, "/count "), 1.0, "{text}");
    assert!(
        text.contains("/cpu-0/") && !text.contains("/cpu-1/"),
        "{text}"
    );
    assert!(last(&text, "/uptime ") < 120.0, "{text}");
}
