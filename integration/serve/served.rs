//! The files that the daemon serves to the host and to containers.

use crate::harness::{Cgroup, Daemon, MAX_AGE, field, read_line, stat_columns, stdout_of};
use std::{fs, process::Stdio};

const MIB: u64 = 1 << 20;

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_process_of_the_host_reads_the_hosts_bytes() {
    let daemon = Daemon::start();
    for file in [
        "proc/cpuinfo",
        "proc/swaps",
        "sys/devices/system/cpu/online",
    ] {
        let served = fs::read(daemon.path(file)).unwrap();
        assert_eq!(served, fs::read(format!("/{file}")).unwrap(), "{file}");
    }
    let names = |path: &std::path::Path| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&daemon.path("proc/meminfo")),
        names("/proc/meminfo".as_ref())
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_lines_of_files_that_change_are_the_hosts() {
    let daemon = Daemon::start();
    for file in [
        "stat",
        "uptime",
        "loadavg",
        "vmstat",
        "diskstats",
        "slabinfo",
    ] {
        let path = format!("proc/{file}");
        // Only the numbers may differ from one moment to the next, and the blanks that fill a column.
        let varies = |letter: char| letter.is_ascii_digit() || letter == ' ';
        let shape = |text: String| text.replace(varies, "");
        let served = shape(fs::read_to_string(daemon.path(&path)).unwrap());
        assert_eq!(
            served,
            shape(fs::read_to_string(format!("/{path}")).unwrap()),
            "{file}"
        );
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_tree_cannot_be_written() {
    let daemon = Daemon::start();
    let open = fs::OpenOptions::new()
        .write(true)
        .open(daemon.path("proc/meminfo"));
    assert_eq!(open.unwrap_err().raw_os_error(), Some(libc::EROFS));
    assert!(fs::write(daemon.path("proc/new"), "x").is_err());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn limits_of_every_parent_count() {
    let daemon = Daemon::start();
    let outer = Cgroup::new();
    let inner = outer.child("inner");
    let box_ = inner.child("box");
    outer.limit_memory(100 * MIB);
    inner.limit_memory(300 * MIB);
    box_.limit_memory(200 * MIB);
    outer.limit_cpu(100);
    let script = "cat /proc/meminfo; grep -c ^cpu[0-9] /proc/stat >&2";
    let output = box_.shell(&daemon, script).output().unwrap();
    assert_eq!(field(&stdout_of(&output), "MemTotal"), 100 * 1024);
    assert_eq!(String::from_utf8(output.stderr).unwrap().trim(), "1");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn memory_that_a_sibling_takes_is_not_free() {
    let daemon = Daemon::start();
    let parent = Cgroup::new();
    parent.limit_memory(200 * MIB);
    let (hungry, box_) = (parent.child("hungry"), parent.child("box"));
    let taken =
        "python3 -c \"import time; x=b\\\"x\\\"*(120<<20); print(1,flush=True); time.sleep(60)\"";
    let mut sibling = hungry
        .shell(&daemon, taken)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    read_line(sibling.stdout.as_mut().unwrap());
    let text = box_.stdout(&daemon, "cat /proc/meminfo");
    sibling.kill().unwrap();
    sibling.wait().unwrap();
    assert_eq!(field(&text, "MemTotal"), 200 * 1024);
    assert!(field(&text, "MemAvailable") < 80 * 1024, "{text}");
    assert!(field(&text, "AnonPages") < 20 * 1024, "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_changed_limit_shows_after_the_maximum_age() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(100 * MIB);
    let script = "cat /proc/meminfo; read line || true; cat /proc/meminfo";
    let mut shell = cgroup
        .shell(&daemon, script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let totals = std::io::BufReader::new(shell.stdout.take().unwrap());
    let mut totals = std::io::BufRead::lines(totals)
        .map_while(Result::ok)
        .filter(|line| line.starts_with("MemTotal"));
    assert!(totals.next().unwrap().contains(" 102400 kB"));
    cgroup.limit_memory(150 * MIB);
    std::thread::sleep(MAX_AGE);
    drop(shell.stdin.take());
    let second = totals.next();
    let _ = shell.wait();
    assert!(second.unwrap().contains(" 153600 kB"));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn two_containers_never_see_each_others_numbers_however_they_copy() {
    let daemon = Daemon::start();
    let cgroups = [Cgroup::new(), Cgroup::new()];
    for (cgroup, size) in cgroups.iter().zip([100, 200]) {
        cgroup.limit_memory(size * MIB);
    }
    // busybox cat copies by sendfile, which goes through the page cache.
    let script = "for i in $(seq 300); do busybox cat /proc/meminfo; cat /proc/meminfo; done";
    let readers: Vec<_> = cgroups
        .iter()
        .map(|cgroup| {
            cgroup
                .shell(&daemon, script)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for (reader, size) in readers.into_iter().zip([100, 200]) {
        let text = stdout_of(&reader.wait_with_output().unwrap());
        let totals: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("MemTotal"))
            .collect();
        assert_eq!(totals.len(), 600);
        let own = format!(" {} kB", size * 1024);
        assert!(totals.iter().all(|line| line.ends_with(&own)), "{totals:?}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_file_reads_the_same_in_whole_and_in_pieces() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(100 * MIB);
    let script = "exec 3< /proc/cpuinfo; dd bs=1 <&3 2>/dev/null | cmp - /proc/cpuinfo; \
        dd if=/proc/meminfo bs=1 skip=10 count=6 2>/dev/null | od -c | head -1; \
        dd if=/proc/meminfo bs=1 skip=100000 2>/dev/null | wc -c; wc -c < /proc/uptime";
    let text = cgroup.stdout(&daemon, script);
    assert!(
        text.lines().nth(1).unwrap().trim().starts_with('0'),
        "{text}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_file_that_is_kept_open_is_new_when_it_is_read_from_its_start() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let script = "python3 -c \"import time; f = open(\\\"/proc/uptime\\\"); \
        first = f.read(); time.sleep(0.5); f.seek(0); print(first != f.read(), f.read() == \\\"\\\")\"";
    let text = cgroup.stdout(&daemon, script);
    assert_eq!(text.trim(), "True True");
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn a_busy_container_shows_its_own_use_and_not_its_neighbours() {
    let daemon = Daemon::start();
    let (busy, idle) = (Cgroup::new(), Cgroup::new());
    for cgroup in [&busy, &idle] {
        cgroup.limit_cpu(100);
    }
    // The CPU time of the burner follows each sample.
    let used = "awk '{print $14 + $15}' /proc/$burner/stat";
    let sample = format!("head -1 /proc/stat; {used}; sleep 2; head -1 /proc/stat; {used}");
    let burn =
        format!("sh -c \"while :; do :; done\" & burner=$!; sleep 1; {sample}; kill $burner");
    let burning = busy
        .shell(&daemon, &burn)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let rest = "head -1 /proc/stat; sleep 2; head -1 /proc/stat";
    let resting = idle
        .shell(&daemon, &format!("sleep 1; {rest}"))
        .output()
        .unwrap();
    let burnt = stdout_of(&burning.wait_with_output().unwrap());
    let lines: Vec<&str> = burnt.lines().collect();
    let own = lines[3].parse::<u64>().unwrap() - lines[1].parse::<u64>().unwrap();
    let (shown, passed) = busy_and_all_ticks(lines[0], lines[2]);
    assert!(
        shown.abs_diff(own) * 100 <= passed * 15,
        "{shown} shown, {own} used of {passed}"
    );
    let rested = stdout_of(&resting);
    let (shown, passed) = busy_and_all_ticks(
        rested.lines().next().unwrap(),
        rested.lines().nth(1).unwrap(),
    );
    assert!(
        shown * 100 <= passed * 10,
        "the neighbour shows {shown} of {passed}"
    );
}

/// Returns the busy ticks and all ticks between two lines of /proc/stat.
fn busy_and_all_ticks(before: &str, after: &str) -> (u64, u64) {
    let grown: Vec<u64> = stat_columns(after)
        .iter()
        .zip(stat_columns(before))
        .map(|(now, then)| now - then)
        .collect();
    (grown[0] + grown[1] + grown[2], grown.iter().sum())
}
