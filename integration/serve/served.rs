//! What the daemon promises: who is served what, and how it starts and ends.

use crate::harness::{AGE, Cgroup, Daemon, field, hierarchy, plimsoll, stdout_of, wait_until};
use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

const MIB: u64 = 1 << 20;

fn is_mounted(daemon: &Daemon) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(daemon.mountpoint.to_str().unwrap())
}

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
fn the_lines_of_the_hosts_moving_files_are_the_hosts() {
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
        // Only numbers may differ from one moment to the next, and with them how far they are filled up.
        let is_number = |letter: char| letter.is_ascii_digit() || letter == ' ';
        let shape = |text: String| text.replace(is_number, "");
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
fn systemd_holds_the_connection_and_is_told_when_the_first_read_would_be_answered() {
    let place = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(place.path().join("notify")).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mountpoint = place.path().join("view");
    let mut daemon = plimsoll()
        .arg("daemon")
        .arg(&mountpoint)
        .env("NOTIFY_SOCKET", place.path().join("notify"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stored = 0;
    loop {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        if text.contains("FDSTORE=1") {
            // It would be woken by every request.
            assert!(text.contains("FDPOLL=0"), "{text}");
            stored += 1;
        } else if text.starts_with("READY=1") {
            break;
        }
    }
    let answered = fs::read(mountpoint.join("proc/meminfo"));
    Command::new("kill")
        .arg(daemon.id().to_string())
        .status()
        .unwrap();
    assert!(daemon.wait().unwrap().success());
    // The state, what must be known of the connection, and the connection.
    assert!(stored >= 3, "{stored}");
    assert!(answered.is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn sigterm_unmounts_and_ends_well() {
    let mut daemon = Daemon::start();
    daemon.signal("TERM");
    assert!(daemon.process.wait().unwrap().success());
    assert!(!is_mounted(&daemon));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_second_daemon_on_the_same_mountpoint_refuses_in_one_line() {
    let daemon = Daemon::start();
    let second = plimsoll()
        .arg("daemon")
        .arg(&daemon.mountpoint)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(125));
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("another daemon serves this mount point"),
        "{said}"
    );
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn what_a_killed_daemon_left_is_taken_over() {
    let mut daemon = Daemon::start();
    daemon.kill();
    assert!(fs::read(daemon.path("proc/meminfo")).is_err());
    let successor = Daemon::on(daemon.mountpoint.clone());
    assert!(fs::read(successor.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_mountpoint_that_is_something_elses_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "other"])
        .arg(place.path())
        .status();
    assert!(mounted.unwrap().success());
    let refused = plimsoll().arg("daemon").arg(place.path()).output().unwrap();
    assert!(
        Command::new("umount")
            .arg(place.path())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(refused.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("type tmpfs is mounted there"));
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
fn what_a_sibling_takes_under_one_parent_is_not_free() {
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
    let mut line = [0; 2];
    std::io::Read::read_exact(sibling.stdout.as_mut().unwrap(), &mut line).unwrap();
    let text = stdout_of(&box_.shell(&daemon, "cat /proc/meminfo").output().unwrap());
    sibling.kill().unwrap();
    sibling.wait().unwrap();
    assert_eq!(field(&text, "MemTotal"), 200 * 1024);
    assert!(field(&text, "MemAvailable") < 80 * 1024, "{text}");
    assert!(field(&text, "AnonPages") < 20 * 1024, "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_changed_limit_is_seen_once_an_answer_has_had_its_age() {
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
    std::thread::sleep(AGE);
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
    let text = stdout_of(&cgroup.shell(&daemon, script).output().unwrap());
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
    let text = stdout_of(&cgroup.shell(&daemon, script).output().unwrap());
    assert_eq!(text.trim(), "True True");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn self_leads_each_container_to_its_own_directory() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(100 * MIB);
    let own = daemon.path("containers/self/proc/meminfo");
    let script = format!(
        "cat {}; readlink {} >&2",
        own.display(),
        daemon.path("containers/self").display()
    );
    let output = cgroup.shell(&daemon, &script).output().unwrap();
    assert_eq!(field(&stdout_of(&output), "MemTotal"), 100 * 1024);
    let key = String::from_utf8(output.stderr).unwrap();
    assert_eq!(key.trim(), cgroup.key().to_string());
    let direct =
        fs::read_to_string(daemon.path(&format!("containers/{}/proc/meminfo", key.trim())));
    assert_eq!(field(&direct.unwrap(), "MemTotal"), 100 * 1024);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_containers_directory_goes_when_its_cgroup_goes() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let link = daemon.path("containers/self");
    let script = format!("readlink {}", link.display());
    let key = stdout_of(&cgroup.shell(&daemon, &script).output().unwrap());
    let directory = daemon.path(&format!("containers/{}", key.trim()));
    assert!(directory.exists());
    drop(cgroup);
    wait_until("the directory is gone", || !directory.exists());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn show_prints_what_the_container_reads() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(100 * MIB);
    cgroup.limit_cpus("0");
    let served = stdout_of(&cgroup.shell(&daemon, "cat /proc/cpuinfo").output().unwrap());
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
fn show_says_in_one_line_what_is_wrong() {
    for (args, says) in [
        (
            vec!["show", "--pid", "1", "kcore"],
            "no such file is served",
        ),
        (vec!["show", "meminfo"], "--pid"),
        (
            vec!["show", "--cgroup", "/no/such", "stat"],
            "cannot find the cgroup /no/such",
        ),
        (
            vec!["show", "--pid", "4194304", "stat"],
            "cannot tell the container of process 4194304",
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
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn a_busy_container_shows_its_own_use_and_not_its_neighbours() {
    let daemon = Daemon::start();
    let (busy, idle) = (Cgroup::new(), Cgroup::new());
    for cgroup in [&busy, &idle] {
        cgroup.limit_cpu(100);
    }
    // Behind each sample stands what the burner itself has used by then.
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
    let (shown, passed) = grown(lines[0], lines[2]);
    assert!(
        shown.abs_diff(own) * 100 <= passed * 15,
        "{shown} shown, {own} used of {passed}"
    );
    let rested = stdout_of(&resting);
    let (shown, passed) = grown(
        rested.lines().next().unwrap(),
        rested.lines().nth(1).unwrap(),
    );
    assert!(
        shown * 100 <= passed * 10,
        "the neighbour shows {shown} of {passed}"
    );
}

/// The ticks that were spent working, and all that passed, between two lines of /proc/stat.
fn grown(before: &str, after: &str) -> (u64, u64) {
    let columns = |line: &str| -> Vec<u64> {
        line.split_whitespace()
            .skip(1)
            .map(|word| word.parse().unwrap())
            .collect()
    };
    let grown: Vec<u64> = columns(after)
        .iter()
        .zip(columns(before))
        .map(|(now, then)| now - then)
        .collect();
    (grown[0] + grown[1] + grown[2], grown.iter().sum())
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

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_process_below_its_init_and_init_itself_see_the_container_of_the_init() {
    let daemon = Daemon::start();
    let container = Cgroup::new();
    let (init, service) = (container.child("init.scope"), container.child("service"));
    container.limit_memory(96 * MIB);
    service.limit_memory(32 * MIB);
    let look = "grep MemTotal /proc/meminfo";
    let join = service.join("$$").replace('$', "\\$");
    let script = format!("{look}; sh -c \"{join}{look}\"");
    let text = stdout_of(&init.shell(&daemon, &script).output().unwrap());
    drop((init, service));
    let total = "MemTotal:          98304 kB\n";
    assert_eq!(text, total.repeat(2));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn pods_that_share_a_pid_namespace_see_each_its_own() {
    let daemon = Daemon::start();
    let pod = Cgroup::new();
    let (pause, app) = (pod.child("pause"), pod.child("app"));
    pause.limit_memory(16 * MIB);
    app.limit_memory(64 * MIB);
    let look = "grep MemTotal /proc/meminfo";
    let join = app.join("$$").replace('$', "\\$");
    let script = format!("{look}; sh -c \"{join}{look}\"");
    let text = stdout_of(&pause.shell(&daemon, &script).output().unwrap());
    drop((pause, app));
    assert_eq!(
        text,
        "MemTotal:          16384 kB\nMemTotal:          65536 kB\n"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_in_a_container_sees_its_own_limit_and_never_more_than_the_outer_has() {
    let daemon = Daemon::start();
    let outer = Cgroup::new();
    let (init, tight, loose) = (
        outer.child("init.scope"),
        outer.child("tight"),
        outer.child("loose"),
    );
    outer.limit_memory(96 * MIB);
    tight.limit_memory(32 * MIB);
    let look = "grep MemTotal /proc/meminfo";
    let enter = |inner: &Cgroup| {
        let join = inner.join("$$").replace('$', "\\$");
        format!("sh -c \"{join}exec unshare --pid --fork {look}\"\n")
    };
    let script = format!("{look}\n{}{}", enter(&tight), enter(&loose));
    let text = stdout_of(&init.shell(&daemon, &script).output().unwrap());
    drop((init, tight, loose));
    let kib: Vec<u64> = text.lines().map(|line| field(line, "MemTotal")).collect();
    assert_eq!(kib, [96 << 10, 32 << 10, 96 << 10]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_open_file_keeps_telling_of_the_container_that_opened_it() {
    let daemon = Daemon::start();
    let parent = Cgroup::new();
    let (first, second) = (parent.child("first"), parent.child("second"));
    first.limit_memory(32 * MIB);
    second.limit_memory(64 * MIB);
    // In the host's pid namespace, where a process is of the container that its cgroup is.
    let script = format!(
        "{}exec unshare --mount sh -ec 'exec 3< {view}/proc/meminfo\n{}head -1 <&3; head -1 {view}/proc/meminfo'",
        first.join("$$"),
        second.join("$$"),
        view = daemon.mountpoint.display(),
    );
    let output = Command::new("sh").args(["-ec", &script]).output().unwrap();
    drop((first, second));
    let text = stdout_of(&output);
    let kib: Vec<u64> = text.lines().map(|line| field(line, "MemTotal")).collect();
    assert_eq!(kib, [32 << 10, 64 << 10]);
}

/// D9.
#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_reader_at_the_root_of_the_cgroups_finds_the_machine_and_consistent_numbers() {
    let daemon = Daemon::start();
    let mut join = String::new();
    for controller in ["memory", "cpu", "cpuacct", "cpuset"] {
        let procs = hierarchy(controller).join("cgroup.procs");
        join += &format!("echo $$ > {}\n", procs.display());
    }
    let script = format!(
        "{join}exec unshare -pfm --kill-child --mount-proc sh -ec 'cat {view}/proc/meminfo; echo; cat {view}/proc/swaps; head -1 {view}/proc/uptime'",
        view = daemon.mountpoint.display()
    );
    let text = stdout_of(&Command::new("sh").args(["-ec", &script]).output().unwrap());
    let host = fs::read_to_string("/proc/meminfo").unwrap();
    for name in ["MemTotal", "SwapTotal"] {
        assert_eq!(field(&text, name), field(&host, name), "{name}");
    }
    let (free, available) = (field(&text, "MemFree"), field(&text, "MemAvailable"));
    assert!(
        free <= available && available <= field(&text, "MemTotal"),
        "{text}"
    );
}

/// D13.
#[test]
#[ignore = "needs root, /dev/fuse and prlimit"]
fn the_descriptors_have_a_bound_however_many_containers_there_are() {
    const MOST: u32 = 400;
    let daemon = Daemon::with_descriptors(MOST);
    let descriptors = || {
        fs::read_dir(format!("/proc/{}/fd", daemon.serving()))
            .unwrap()
            .count()
    };
    let containers: Vec<Cgroup> = (0..80).map(|_| Cgroup::new()).collect();
    let look = "cat /proc/stat /proc/loadavg /proc/meminfo";
    let look = |container: &Cgroup| stdout_of(&container.shell(&daemon, look).output().unwrap());
    assert!(look(&containers[0]).contains("MemTotal"));
    let before = descriptors();
    for container in &containers {
        assert!(look(container).contains("MemTotal"));
    }
    // Half of what it may have, some of the machine, and those of who asked; one for each file were 600.
    assert!(
        descriptors() <= before + MOST as usize / 2 + 120,
        "{before}, then {}",
        descriptors()
    );
    assert!(look(&containers[0]).contains("MemTotal"));
}
