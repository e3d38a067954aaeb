//! The programs in a container of `plimsoll run`: their numbers agree with the limits of the container
//! and with each other.

use crate::harness::{Daemon, MAX_AGE, field, hierarchy, is_v2, plimsoll, stdout_of};
use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

const MIB: u64 = 1 << 20;

/// Returns a command that runs in a container of 256 MiB and one CPU.
fn inside(command: &[&str]) -> Command {
    let mut run = plimsoll();
    run.args(["run", "-m", "256M", "--cpus", "1", "--"])
        .args(command);
    run
}

/// Returns the standard output of a command in such a container.
fn read(command: &[&str]) -> String {
    stdout_of(&inside(command).output().unwrap())
}

/// A shell script in a container. The test reads its lines and lets it go on.
struct Dialogue {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Dialogue {
    fn start(options: &[&str], script: &str) -> Dialogue {
        let mut process = plimsoll()
            .args(["run", "-i", "-m", "256M", "--cpus", "1"])
            .args(options)
            .args(["--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Dialogue { process, lines }
    }

    /// Waits for the next line of the script.
    fn line(&mut self) -> String {
        self.lines.next().expect("the container has ended").unwrap()
    }

    /// Ends a `read` of the script.
    fn resume(&mut self) {
        writeln!(self.process.stdin.as_mut().unwrap(), "go").unwrap();
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn free_shows_the_limit_as_the_total() {
    let text = read(&["free", "-m"]);
    let line = text.lines().find(|line| line.starts_with("Mem:")).unwrap();
    let columns: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!(columns[0], 256);
    assert!(columns[1] < 64 && columns[5] > 192, "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn top_shows_the_limit_and_a_container_that_was_just_started() {
    let text = read(&["top", "-bn1"]);
    assert!(text.contains("MiB Mem :    256.0 total"), "{text}");
    assert!(text.contains("up 0 min"), "{text}");
    assert!(text.contains("Tasks:   2 total"), "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn uptime_and_vmstat_show_the_container() {
    let uptime = read(&["uptime"]);
    assert!(uptime.contains("up 0 min"), "{uptime}");
    let sums = read(&["vmstat", "-s", "-S", "K"]);
    let sum = |name: &str| -> u64 {
        let line = sums.lines().find(|line| line.ends_with(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert_eq!(sum("K total memory"), 256 * 1024);
    assert!(sum("K free memory") <= 256 * 1024, "{sums}");
    // The machine has moved far more since its boot than one program.
    assert!(
        sum("idle cpu ticks") < 60 * 100 && sum("K paged out") < 64 * 1024,
        "{sums}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn a_containers_own_daemon_is_mounted_nowhere_on_the_host() {
    let mut container = Dialogue::start(&[], "grep -c plimsoll /proc/self/mountinfo; read line");
    assert!(container.line().parse::<u32>().unwrap() > 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("fuse.plimsoll"), "{mounts}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn uptime_clock_and_process_ages_agree() {
    let script = "import time; print(open('/proc/uptime').read().split()[0], \
        time.clock_gettime(time.CLOCK_BOOTTIME), time.clock_gettime(time.CLOCK_MONOTONIC))";
    let text = read(&["python3", "-c", script]);
    let times: Vec<f64> = text
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    // An emulated machine is slow between two clocks.
    assert!(
        times.iter().all(|time| (0.0..60.0).contains(time)),
        "{text}"
    );
    assert!(
        (times[1] - times[0]).abs() < 1.0 && (times[2] - times[1]).abs() < 1.0,
        "{text}"
    );
    let ages = read(&["ps", "-o", "etimes=", "-p", "1"]);
    assert!(ages.trim().parse::<u64>().unwrap() < 60, "{ages}");
    let btime = read(&["sh", "-c", "grep btime /proc/stat; date +%s"]);
    let words: Vec<u64> = btime
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(words[0].abs_diff(words[1]) < 60, "{btime}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_program_that_asks_a_file_counts_one_cpu() {
    assert_eq!(read(&["getconf", "_NPROCESSORS_ONLN"]).trim(), "1");
    assert_eq!(
        read(&["grep", "-c", "^processor", "/proc/cpuinfo"]).trim(),
        "1"
    );
    assert_eq!(read(&["grep", "-c", "^cpu[0-9]", "/proc/stat"]).trim(), "1");
    assert_eq!(
        read(&["python3", "-c", "import os; print(os.cpu_count())"]).trim(),
        "1"
    );
    assert_eq!(read(&["cat", "/sys/devices/system/cpu/online"]), "0\n");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn possible_cpus_are_the_hosts() {
    let host = stdout_of(&Command::new("nproc").arg("--all").output().unwrap());
    assert_eq!(read(&["nproc", "--all"]), host);
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn a_cpuset_keeps_the_hosts_numbers_in_every_file() {
    let script = "grep ^processor /proc/cpuinfo; grep -oE '^cpu[0-9]+' /proc/stat; \
        cat /sys/devices/system/cpu/online; nproc";
    let run = plimsoll()
        .args(["run", "--cpuset-cpus", "1", "--", "sh", "-c", script])
        .output();
    let text = stdout_of(&run.unwrap());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["processor\t: 1", "cpu1", "1", "1"]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn psutil_and_node_read_the_container() {
    let script = "import psutil; m = psutil.virtual_memory(); \
        print(m.total, m.available, psutil.cpu_count(), psutil.swap_memory().total)";
    let text = read(&["python3", "-c", script]);
    let values: Vec<u64> = text
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!((values[0], values[2]), (256 * MIB, 1));
    assert!(values[1] <= 256 * MIB && values[1] > 150 * MIB, "{text}");
    let script = "const os = require('os'); \
        console.log(os.totalmem(), os.cpus().length, os.uptime() < 60, os.loadavg()[0] < 2)";
    assert_eq!(
        read(&["node", "-e", script]),
        format!("{} 1 true true\n", 256 * MIB)
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn busybox_reads_files_as_the_others_do() {
    assert_eq!(
        field(&read(&["busybox", "cat", "/proc/meminfo"]), "MemTotal"),
        256 * 1024
    );
    assert_eq!(
        read(&["busybox", "wc", "-l", "/proc/loadavg"]).trim(),
        "1 /proc/loadavg"
    );
    let top = read(&["busybox", "top", "-bn1"]);
    let memory = top.lines().next().unwrap();
    let sizes: Vec<u64> = memory
        .split([' ', ','])
        .filter_map(|word| word.strip_suffix('K')?.parse().ok())
        .collect();
    assert!(sizes[0] + sizes[1] <= 256 * 1024, "{memory}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn swap_that_is_not_allowed_is_not_shown() {
    let run = plimsoll()
        .args(["run", "-m", "64M", "--memory-swap", "64M", "--", "sh", "-c"])
        .arg("swapon -s; grep Swap /proc/meminfo")
        .output();
    let text = stdout_of(&run.unwrap());
    assert_eq!(
        (field(&text, "SwapTotal"), field(&text, "SwapFree")),
        (0, 0)
    );
    assert!(!text.contains("virtual"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse and swap"]
fn swap_that_is_allowed_is_shown_with_its_limit() {
    let run = plimsoll()
        .args(["run", "-m", "64M", "--memory-swap", "96M", "--", "sh", "-c"])
        .arg("cat /proc/swaps; grep Swap /proc/meminfo")
        .output();
    let text = stdout_of(&run.unwrap());
    assert_eq!(field(&text, "SwapTotal"), 32 * 1024, "{text}");
    assert!(text.contains("32768"), "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn memory_that_is_taken_shows_as_used() {
    let script = "import re\n\
        def used():\n  m = dict(re.findall(r'(\\w+): +(\\d+)', open('/proc/meminfo').read()))\n  \
        return int(m['MemTotal']) - int(m['MemAvailable']), int(m['AnonPages'])\n\
        a = used(); x = b'x' * (100 << 20); b = used(); print(b[0] - a[0], b[1] - a[1])";
    let text = read(&["python3", "-c", script]);
    for grown in text
        .split_whitespace()
        .map(|word| word.parse::<u64>().unwrap())
    {
        assert!(grown.abs_diff(100 * 1024) < 4 * 1024, "{text}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_limit_that_is_changed_shows() {
    let name = format!("plimsoll-test-changed-{}", std::process::id());
    let read = "while :; do grep MemTotal /proc/meminfo; cat /sys/devices/system/cpu/online; \
        read line || exit; done";
    let mut container = Dialogue::start(&["--name", &name], read);
    assert!(container.line().ends_with(" 262144 kB"));
    assert_eq!(container.line(), "0");
    let limit = if is_v2() {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    fs::write(
        hierarchy("memory").join("plimsoll").join(&name).join(limit),
        "100M",
    )
    .unwrap();
    std::thread::sleep(MAX_AGE);
    container.resume();
    assert!(container.line().ends_with(" 102400 kB"));
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn top_shows_a_busy_container_busy_and_its_neighbour_idle() {
    let neighbour = Dialogue::start(&[], "top -bn2 -d3 | grep Cpu; read line");
    let burning = "sh -c 'while :; do :; done' & burner=$!; sleep 1; \
        ticks() { awk '{print $14 + $15}' /proc/$burner/stat; }; \
        before=$(ticks); top -bn2 -d3 | grep Cpu; echo $before $(ticks); kill $burner; read line";
    let mut busy = Dialogue::start(&[], burning);
    let mut neighbour = neighbour;
    let idle = |line: &str| -> f64 {
        let words: Vec<&str> = line
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .collect();
        let at = words.iter().position(|word| *word == "id").unwrap();
        words[at - 1].parse().unwrap()
    };
    busy.line();
    neighbour.line();
    let (busy_line, neighbour_line) = (busy.line(), neighbour.line());
    let ticks: Vec<f64> = busy
        .line()
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    // On a machine with other work the container does not get its whole CPU.
    let got = (ticks[1] - ticks[0]) / 3.0;
    assert!(
        100.0 - idle(&busy_line) > got.min(100.0) * 0.8,
        "{busy_line}, got {got}%"
    );
    assert!(idle(&neighbour_line) > 90.0, "{neighbour_line}");
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn the_load_is_the_containers_own() {
    let mut container = Dialogue::start(
        &[],
        "cat /proc/loadavg; all=; for i in 1 2 3; do sh -c 'while :; do :; done' & all=\"$all $!\"; done; sleep 11; \
         cat /proc/loadavg; kill $all; read line",
    );
    let load = |line: &str| line.split(' ').next().unwrap().parse::<f64>().unwrap();
    let (before, after) = (container.line(), container.line());
    assert!(load(&before) <= 1.0, "{before}");
    // Two or three samples of three tasks make at least 3 * (1 - exp(-10 / 60)) = 0.46.
    assert!(load(&after) > load(&before) + 0.2, "{before}, {after}");
    let tasks: Vec<&str> = after.split(' ').collect();
    assert!(
        tasks[3].split('/').nth(1).unwrap().parse::<u32>().unwrap() >= 5,
        "{after}"
    );
    assert!(
        tasks[4].parse::<u32>().unwrap() < 100,
        "the last pid is of the host: {after}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn a_daemon_on_the_host_serves_the_container() {
    let mut daemon = Daemon::on("/var/lib/plimsoll".into());
    let script = "cat /proc/meminfo; cat /proc/self/mountinfo";
    let text = read(&["sh", "-c", script]);
    assert_eq!(field(&text, "MemTotal"), 256 * 1024);
    assert!(text.contains("/proc/meminfo"), "{text}");
    // An embedded daemon would outlive this one.
    let mut container = Dialogue::start(
        &[],
        "cat /proc/uptime; read line; sleep 0.1; cat /proc/uptime || echo gone; read line",
    );
    container.line();
    daemon.kill();
    container.resume();
    assert_eq!(container.line(), "gone");
    let after = read(&["cat", "/proc/meminfo"]);
    assert_eq!(field(&after, "MemTotal"), 256 * 1024);
}
