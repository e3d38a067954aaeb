//! Time in a container: the columns of its CPUs, its uptime and its load.

use crate::harness::{Cgroup, Daemon, is_v2, python, read_line, stat_columns, stdout_of};
use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn a_container_at_its_quota_is_busy_or_stolen_from_and_agrees_with_its_own_count() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_cpu(50);
    let (file, scale) = match is_v2() {
        true => (cgroup.directory("cpu").join("cpu.stat"), 10_000),
        false => (
            cgroup.directory("cpuacct").join("cpuacct.usage"),
            10_000_000,
        ),
    };
    // The count is read before and after: each program of the container waits for its quota.
    let count = format!("head -1 {}", file.display());
    let sample = format!("{count}; head -1 /proc/stat; {count}");
    let script = format!(
        "(while :; do :; done) & (while :; do :; done) & sleep 1; {sample}; sleep 6; {sample}"
    );
    let text = cgroup.stdout(&daemon, &script);
    let lines: Vec<&str> = text.lines().collect();
    let (before, after) = (stat_columns(lines[1]), stat_columns(lines[4]));
    let grown: Vec<u64> = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after - before)
        .collect();
    let counted = lines.iter().map(|line| line.split_whitespace().last());
    let counted: Vec<u64> = counted
        .map(|count| count.unwrap().parse().unwrap())
        .collect();
    let used = |from: usize, to: usize| (counted[to] - counted[from]) / scale;
    let (least, most) = (used(2, 3), used(0, 5));
    let shown = grown[0] + grown[1] + grown[2];
    let passed: u64 = grown.iter().sum();
    // The tolerance is one percent, and one tick for either end of each column.
    let tolerance = most / 100 + 4;
    assert!(
        least <= shown + tolerance && shown <= most + tolerance,
        "{shown} shown, {least} to {most} used: {text}"
    );
    let steal = grown[7];
    assert!((shown + steal) * 100 >= passed * 95, "{grown:?}");
}

/// Reads stat and uptime for some seconds and prints each counter that runs backwards.
const WATCH: &str = r#"
import time
last, end, reads = {}, time.time() + SECONDS, 0
while time.time() < end:
    now = {}
    for line in open("/proc/stat"):
        if line.startswith("cpu"):
            name, *columns = line.split()
            for at, column in enumerate(columns): now[name, at] = int(column)
    now["uptime", 0], now["uptime", 1] = (float(word) for word in open("/proc/uptime").read().split())
    for key, value in now.items():
        if value < last.get(key, 0): print(key, last[key], value)
    last.update(now)
    reads += 1
print("watched" if reads > 10 else "too slow")
"#;

/// Starts a container that burns CPU time and [watches](WATCH) its counters.
fn watching(daemon: &Daemon, cgroup: &Cgroup, seconds: u32) -> Child {
    let watch = WATCH.replace("SECONDS", &seconds.to_string());
    let script = format!("(while :; do :; done) & {}", python(&watch, ""));
    let mut shell = cgroup.shell(daemon, &script);
    shell.stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn no_counter_runs_backwards_while_limits_change() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_cpus("0-1");
    let watching = watching(&daemon, &cgroup, 4);
    for round in 0..16 {
        std::thread::sleep(Duration::from_millis(250));
        cgroup.limit_cpu([60, 200, 100][round % 3]);
        cgroup.limit_cpus(["0", "0-1", "1"][round % 3]);
    }
    assert_eq!(
        stdout_of(&watching.wait_with_output().unwrap()),
        "watched\n"
    );
}

/// The file `online` of a CPU. Switches the CPU on again when dropped.
struct Unplugged(String);

impl Drop for Unplugged {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, "1");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroup v2, 2 CPUs and a quiet machine"]
fn a_cpu_that_is_switched_off_and_on_leaves_and_comes_back() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let online = || fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let all = online();
    let last: u32 = all
        .trim()
        .rsplit(['-', ','])
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let cpu = Unplugged(format!("/sys/devices/system/cpu/cpu{last}/online"));
    let watching = watching(&daemon, &cgroup, 8);
    let look = "cat /sys/devices/system/cpu/online; grep -c ^processor /proc/cpuinfo; grep -c ^cpu[0-9] /proc/stat; \
        ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l";
    let other = Cgroup::new();
    for _ in 0..2 {
        fs::write(&cpu.0, "0").unwrap();
        let list = online();
        let text = other.stdout(&daemon, look);
        assert_eq!(text, format!("{list}{last}\n{last}\n{last}\n"));
        fs::write(&cpu.0, "1").unwrap();
        let text = other.stdout(&daemon, look);
        let count = last + 1;
        assert_eq!(text, format!("{all}{count}\n{count}\n{count}\n"));
    }
    assert_eq!(
        stdout_of(&watching.wait_with_output().unwrap()),
        "watched\n"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn the_load_after_a_minute_is_what_the_kernels_formula_gives() {
    let daemon = Daemon::start();
    let script = "cut -d' ' -f1 /proc/loadavg; (while :; do :; done) & (while :; do :; done) & \
        sleep 62; cut -d' ' -f1-3 /proc/loadavg";
    let text = Cgroup::new().stdout(&daemon, script);
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    let after = |minutes: f64| {
        let keeps = (-5.0 / (60.0 * minutes)).exp();
        (0..12).fold(numbers[0], |load, _| load * keeps + 2.0 * (1.0 - keeps))
    };
    for (shown, minutes) in numbers[1..].iter().zip([1.0, 5.0, 15.0]) {
        assert!(
            (shown - after(minutes)).abs() < 0.05,
            "{text}{}",
            after(minutes)
        );
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn thousands_of_threads_cost_next_to_nothing_without_a_reader() {
    let daemon = Daemon::start();
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
        let fields: Vec<u64> = stat
            .split_whitespace()
            .skip(13)
            .take(2)
            .map(|field| field.parse().unwrap())
            .collect();
        fields.iter().sum::<u64>()
    };
    let cgroup = Cgroup::new();
    let script = "python3 - <<'END'\nimport threading, time\nthreading.stack_size(65536)\n\
        for _ in range(2000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n\
        open('/proc/loadavg').read()\nprint('asked', flush=True)\ntime.sleep(21)\nEND\n";
    let mut threads = cgroup
        .shell(&daemon, script)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    read_line(threads.stdout.as_mut().unwrap());
    let before = ticks();
    std::thread::sleep(Duration::from_secs(20));
    let used = ticks() - before;
    let _ = threads.wait();
    // An emulated CPU is some ten times slower.
    let max_ticks = if is_v2() { 200 } else { 20 };
    assert!(used <= max_ticks, "{used} ticks in 20 s");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_among_the_hosts_processes_has_the_hosts_clock() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let join = cgroup.join("$$");
    let hosts = fs::read_to_string("/proc/uptime").unwrap();
    let script = format!(
        "{join}exec unshare --mount --propagation private sh -ec 'for f in uptime stat; do mount --bind {}/proc/$f /proc/$f; done; \
        cat /proc/uptime; grep btime /proc/stat; ps -o etimes= -p 1'",
        daemon.mountpoint.display()
    );
    let text = stdout_of(&Command::new("sh").args(["-c", &script]).output().unwrap());
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let hosts: f64 = hosts.split_whitespace().next().unwrap().parse().unwrap();
    assert!((numbers[0] - hosts).abs() < 30.0, "{text}{hosts}");
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let btime = stat.lines().find(|line| line.starts_with("btime")).unwrap();
    assert!(text.contains(btime), "{text}");
    // `ps` subtracts the start of a process from the uptime.
    let age = numbers.last().unwrap();
    assert!((age - hosts).abs() < 60.0, "{text}{hosts}");
}
