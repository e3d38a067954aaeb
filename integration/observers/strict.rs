//! Programs that read files to the last byte of each line, and rules of such programs. A blank at the end of a
//! line, a second blank or a leading zero makes them fail.
#![allow(
    clippy::print_stdout,
    reason = "the program in the container prints what it read"
)]

use super::{inside, shell};
use crate::harness::{Cgroup, Daemon, stdout_of};
use procfs::{Current, CurrentSI};
use std::{fs, path::Path, process::Command, time::SystemTime};

/// The environment variable that tells a test that the test binary runs in the container.
const INSIDE: &str = "PLIMSOLL_STRICT_INSIDE";

fn seconds_since_1970() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Prints what the crate procfs reads.
fn read_with_procfs() -> String {
    let stat = procfs::KernelStats::current().unwrap();
    let memory = procfs::Meminfo::current().unwrap();
    let uptime = procfs::Uptime::current().unwrap();
    let load = procfs::LoadAverage::current().unwrap();
    let cpus = procfs::CpuInfo::current().unwrap();
    procfs::DiskStats::current().unwrap();
    procfs::VmStat::current().unwrap();
    assert!(uptime.uptime < 300.0 && uptime.idle < 300.0);
    assert!((0.0..=2.0).contains(&load.one) && load.max >= load.cur);
    assert_eq!(stat.btime, procfs::boot_time_secs().unwrap());
    assert!(seconds_since_1970() - stat.btime < 300);
    assert!(stat.procs_running >= Some(1));
    format!(
        "{} CPUs, {} times, {} bytes",
        cpus.num_cores(),
        stat.cpu_time.len(),
        memory.mem_total
    )
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn the_crate_procfs_reads_times_memory_and_load_of_the_container() {
    // This test is also the program in the container.
    if std::env::var_os(INSIDE).is_some() {
        return println!("{}", read_with_procfs());
    }
    let test = std::env::current_exe().unwrap();
    let (_, room) = module_path!().split_once("::").unwrap();
    let name = format!("{room}::the_crate_procfs_reads_times_memory_and_load_of_the_container");
    let set = format!("{INSIDE}=1");
    let words = ["env", &set, test.to_str().unwrap(), "--exact", &name];
    let text = inside(&[&words[..], &["--include-ignored", "--nocapture"]].concat());
    assert!(text.contains("1 CPUs, 1 times, 268435456 bytes"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and cargo"]
fn the_crates_systemstat_and_sysinfo_read_the_container() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .join("readers");
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--locked", "--manifest-path"]);
    build
        .arg(root.join("integration/readers/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    stdout_of(&build.output().unwrap());
    let program = target.join("debug/readers");
    let text = inside(&["env", "-C", "/", program.to_str().unwrap()]);
    let number = |name: &str| -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in: {text}"))
            .parse()
            .unwrap()
    };
    // systemstat asks by a system call for the load, which no file answers.
    assert!(number("sysinfo.load") <= 2.0, "{text}");
    for name in ["systemstat", "sysinfo"] {
        let of = |what: &str| number(&format!("{name}.{what}"));
        assert_eq!((of("cpus"), of("memory")), (1.0, 268_435_456.0), "{text}");
        assert!(of("uptime") < 300.0, "{text}");
        let now = u32::try_from(seconds_since_1970()).unwrap();
        assert!(
            (0.0..300.0).contains(&(f64::from(now) - of("boot"))),
            "{text}"
        );
    }
}

/// The trees in which a container's files stand: cached, direct, and the shared one, as the container reads it.
fn each_tree(judge: impl Fn(&str, &dyn Fn(&str) -> String)) {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(256 << 20);
    cgroup.limit_cpu(100);
    for tree in ["containers", ".direct"] {
        let root = daemon.path(&format!("{tree}/{}/proc", cgroup.key()));
        judge(tree, &|file| fs::read_to_string(root.join(file)).unwrap());
    }
    judge("shared", &|file| {
        cgroup.stdout(&daemon, &format!("cat /proc/{file}"))
    });
}

/// Splits a line at each single blank, as `split(" ")` of many languages does.
fn parts(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn heims_rules_find_the_times_the_load_and_the_memory() {
    each_tree(|tree, read| {
        // heim-host: the rest of the line behind "btime ", and what stands before the first blank.
        let stat = read("stat");
        let btime = stat.lines().find_map(|line| line.strip_prefix("btime "));
        assert!(btime.unwrap().parse::<u64>().is_ok(), "{tree}: {btime:?}");
        let uptime = read("uptime");
        let (up, idle) = uptime.trim_end_matches('\n').split_once(' ').unwrap();
        assert!(
            up.parse::<f64>().is_ok() && idle.parse::<f64>().is_ok(),
            "{tree}: {uptime:?}"
        );
        // heim-cpu: counts behind the name, and ten columns of ticks.
        for name in ["ctxt ", "procs_running ", "procs_blocked "] {
            let count = stat.lines().find_map(|line| line.strip_prefix(name));
            assert!(
                count.unwrap().parse::<u64>().is_ok(),
                "{tree}: {name}{count:?}"
            );
        }
        let cpu = parts(stat.lines().nth(1).unwrap());
        assert_eq!(cpu.len(), 11, "{tree}: {cpu:?}");
        assert!(
            cpu[1..].iter().all(|ticks| ticks.parse::<u64>().is_ok()),
            "{tree}: {cpu:?}"
        );
        // heim-memory: a number before " kB" at the end.
        for line in read("meminfo").lines().filter(|line| line.ends_with('B')) {
            let (_, size) = line.split_once(':').unwrap();
            let size = size.trim_start().strip_suffix(" kB");
            assert!(size.unwrap().parse::<u64>().is_ok(), "{tree}: {line:?}");
        }
        let load = read("loadavg");
        let load = parts(load.trim_end_matches('\n'));
        assert_eq!(load.len(), 5, "{tree}: {load:?}");
        assert!(load[4].parse::<u32>().is_ok(), "{tree}: {load:?}");
    });
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn gosigars_and_the_shells_rules_find_the_boot_time_and_fixed_columns() {
    each_tree(|tree, read| {
        // gosigar: strtoull of line[6:], and 0 where that fails.
        let stat = read("stat");
        let line = stat.lines().find(|line| line.starts_with("btime")).unwrap();
        assert!(
            line[6..].parse::<u64>().unwrap_or(0) > 0,
            "{tree}: {line:?}"
        );
        // sed -n 's/^btime \([0-9]*\)$/\1/p', and grep -c ' $'.
        assert!(
            line[6..].bytes().all(|byte| byte.is_ascii_digit()),
            "{tree}: {line:?}"
        );
        for file in [
            "stat",
            "uptime",
            "loadavg",
            "swaps",
            "meminfo",
            "cpuinfo",
            "vmstat",
            "diskstats",
        ] {
            let text = read(file);
            let blank = text.lines().find(|line| line.ends_with([' ', '\t']));
            assert_eq!(blank, None, "{tree}: {file}");
            assert!(
                !text.contains('\0') && text.ends_with('\n') || text.is_empty(),
                "{tree}: {file}"
            );
        }
        // A shell takes a number with a leading zero for an octal one.
        let uptime = read("uptime");
        for number in uptime
            .split_whitespace()
            .chain(read("loadavg").split_whitespace().skip(4))
        {
            let is_octal = number.starts_with('0') && number.len() > 1 && !number.starts_with("0.");
            assert!(!is_octal, "{tree}: {number}");
        }
        // lxcfs's test of meminfo and stat: names at the start of a line, and a unit at the end.
        let meminfo = read("meminfo");
        let sizes = meminfo.lines().filter(|line| line.ends_with(" kB")).count();
        assert!(sizes > 30, "{tree}: {sizes}");
        assert_eq!(stat.matches("\ncpu0 ").count(), 1, "{tree}: {stat}");
    });
}

/// Reads fixed columns with `strconv`, which takes no blank and no empty word.
const GO: &str = r#"package main

import ("fmt"; "os"; "strconv"; "strings")

func main() {
	text, _ := os.ReadFile("/proc/stat")
	cpus := 0
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		words := strings.Split(strings.Replace(line, "cpu  ", "cpu ", 1), " ")
		for _, word := range words[1:] {
			if _, err := strconv.ParseUint(word, 10, 64); err != nil { panic(err) }
		}
		if strings.HasPrefix(words[0], "cpu") { cpus++ }
	}
	text, _ = os.ReadFile("/proc/uptime")
	for _, word := range strings.Split(strings.TrimSuffix(string(text), "\n"), " ") {
		if _, err := strconv.ParseFloat(word, 64); err != nil { panic(err) }
	}
	fmt.Println(cpus)
}
"#;

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and go"]
fn a_go_program_converts_each_column_of_stat_and_uptime() {
    let directory = tempfile::tempdir().unwrap();
    crate::harness::make_searchable(directory.path());
    let (source, program) = (
        directory.path().join("main.go"),
        directory.path().join("main"),
    );
    fs::write(&source, GO).unwrap();
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(&source);
    build.env("GOCACHE", directory.path().join("cache"));
    stdout_of(&build.output().unwrap());
    // The container has a /tmp of its own.
    let mut run = crate::harness::plimsoll();
    let volume = format!("{}:/mnt", directory.path().display());
    run.args([
        "run",
        "-m",
        "256M",
        "--cpus",
        "1",
        "-v",
        &volume,
        "--",
        "/mnt/main",
    ]);
    assert_eq!(stdout_of(&run.output().unwrap()), "2\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and node"]
fn node_splits_lines_at_single_blanks_as_systeminformation_does() {
    let script = "const fs = require('fs'), os = require('os'); \
        const numbers = words => words.every(word => /^[0-9]+(\\.[0-9]+)?$/.test(word)); \
        const lines = fs.readFileSync('/proc/stat', 'utf8').split('\\n').slice(1, -1); \
        const [up, idle] = fs.readFileSync('/proc/uptime', 'utf8').split('\\n')[0].split(' '); \
        console.log(lines.every(line => numbers(line.split(' ').slice(1))), numbers([up, idle]), \
            Number(up) < 300, os.cpus().length, os.totalmem(), os.uptime() < 300)";
    let text = inside(&["node", "-e", script]);
    assert_eq!(text, "true true true 1 268435456 true\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and vmstat"]
fn procps_and_busybox_print_the_containers_memory_load_and_age() {
    let text = shell("free -k | awk '/^Mem/ {print $2}'");
    assert_eq!(text, "262144\n");
    let text =
        shell("uptime; busybox uptime; top -bn1 | head -1; busybox top -bn1 | grep -c ^Load");
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[..3] {
        assert!(
            line.contains("up 0 min") && line.contains("load average: "),
            "{text}"
        );
    }
    assert_eq!(lines[3], "1", "{text}");
    let text = shell(
        "vmstat 1 2 | tail -1; vmstat -s | grep -c .; date -d \"$(uptime -s)\" +%s; date +%s",
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0]
            .split_whitespace()
            .all(|word| word.parse::<u64>().is_ok()),
        "{text}"
    );
    let seconds = |line: &str| -> u64 { line.parse().unwrap() };
    assert!(seconds(lines[3]) - seconds(lines[2]) < 120, "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and python3"]
fn python_reads_fixed_columns_with_split_of_a_blank() {
    let script = "stat = open('/proc/stat').read().split('\\n')[:-1]; \
        cpu = [line.split(' ') for line in stat if line.startswith('cpu')]; \
        print([len(words) for words in cpu], all(int(word) >= 0 for words in cpu for word in words[1:] if word), \
            len(open('/proc/loadavg').read().split(' ')), len(open('/proc/uptime').read().split(' ')))";
    assert_eq!(inside(&["python3", "-c", script]), "[12, 11] True 5 2\n");
}
