//! What `plimsoll run` promises, with the real program on the real kernel.
//!
//! The tests suppose nothing of the machine but root and a cgroup file system: they pass on
//! cgroup v1, v2 and both. Each container has a name of its own, so they may run side by side.

use crate::harness::{Daemon, oci::configured};
use std::{
    fs,
    io::Write,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_plimsoll");

/// Emulated machines are slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// `plimsoll run` with these words after it.
fn run(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("run").args(words).stdin(Stdio::null());
    command
}

fn output(words: &[&str]) -> Output {
    run(words).output().unwrap()
}

/// What a command prints in a container that ends well.
fn printed(words: &[&str]) -> String {
    let output = output(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn status(words: &[&str]) -> i32 {
    output(words).status.code().unwrap()
}

/// The one line with which a start is refused.
fn refusal(words: &[&str]) -> String {
    refused(&mut run(words))
}

fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{command:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{command:?}: {text}");
    assert!(text.starts_with("plimsoll: "), "{text}");
    assert!(output.stdout.is_empty());
    text
}

/// A name that no other test has.
fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{count}", std::process::id())
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A container that has printed `up`, with what it prints going to a file.
struct Running {
    process: Child,
    printed: PathBuf,
    _directory: tempfile::TempDir,
}

impl Running {
    fn start(words: &[&str], script: &str) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let printed = directory.path().join("out");
        let script = format!("echo up; {script}");
        let words: Vec<&str> = words
            .iter()
            .copied()
            .chain(["--", "sh", "-c", &script])
            .collect();
        let process = run(&words)
            .stdout(fs::File::create(&printed).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let running = Running {
            process,
            printed,
            _directory: directory,
        };
        wait_until("the container is up", || running.says("up"));
        running
    }

    fn says(&self, line: &str) -> bool {
        fs::read_to_string(&self.printed)
            .unwrap()
            .lines()
            .any(|said| said == line)
    }

    fn signal(&self, signal: &str) {
        kill(signal, &self.process.id().to_string());
    }

    /// Signals every process of its group, as a terminal does.
    fn signal_all(&self, signal: &str) {
        kill(signal, &format!("-{}", self.process.id()));
    }

    fn status(mut self) -> i32 {
        self.process.wait().unwrap().code().unwrap()
    }
}

fn kill(signal: &str, whom: &str) {
    let status = Command::new("kill")
        .args(["-s", signal, "--", whom])
        .status();
    assert!(status.unwrap().success());
}

/// Every trace that a container of this name could have left on this machine.
fn traces(name: &str) -> Vec<String> {
    let mut traces = Vec::new();
    for root in ["/var/lib/plimsoll-run", "/run/plimsoll-run"] {
        let path = Path::new(root).join("live").join(name);
        if path.exists() {
            traces.push(path.display().to_string());
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    traces.extend(
        mounts
            .lines()
            .filter(|line| line.contains(name))
            .map(str::to_owned),
    );
    traces.extend(cgroups(name).iter().map(|path| path.display().to_string()));
    traces.extend(processes(name));
    traces
}

/// The cgroup directories of a container.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter(|line| line.contains(" - cgroup"));
    points
        .map(|line| {
            Path::new(line.split(' ').nth(4).unwrap())
                .join("plimsoll")
                .join(name)
        })
        .filter(|path| path.exists())
        .collect()
}

/// The processes with this word in their command line, but for this one.
fn processes(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(word) && entry.file_name() != *std::process::id().to_string() {
            found.push(line);
        }
    }
    found
}

/// A limit as the kernel has it, by its names on v2 and v1.
fn limit(name: &str, v2: &str, v1: &str) -> String {
    let directories = cgroups(name);
    let file = |file: &str| {
        directories
            .iter()
            .map(|d| d.join(file))
            .find(|path| path.exists())
    };
    let path = file(v2).or_else(|| file(v1)).unwrap();
    fs::read_to_string(path).unwrap().trim().to_owned()
}

/// The program's own tree for a root: a static busybox and links to it.
fn busybox() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let bin = root.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is installed");
    for name in [
        "sh", "cat", "ls", "rm", "touch", "echo", "mkdir", "sleep", "id",
    ] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    root
}

/// The names in a directory, in order.
fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

// What the container is.

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_exit_status_is_the_commands() {
    assert_eq!(status(&["--", "true"]), 0);
    assert_eq!(status(&["--", "sh", "-c", "exit 7"]), 7);
    assert_eq!(status(&["--", "sh", "-c", "kill -KILL $$"]), 137);
    assert_eq!(status(&["--", "sh", "-c", "kill -TERM $$"]), 143);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_run_126() {
    for (word, expected) in [
        ("no-such-command", 127),
        ("/no/such/command", 127),
        ("/etc/passwd", 126),
        ("/etc", 126),
    ] {
        let output = output(&["--", word]);
        assert_eq!(output.status.code(), Some(expected), "{word}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(word) && said.lines().count() == 1, "{said}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn what_follows_the_command_belongs_to_it() {
    assert_eq!(
        printed(&["echo", "-m", "1K", "--", "--name"]),
        "-m 1K -- --name\n"
    );
    assert_eq!(printed(&["--entrypoint", "echo", "--", "-n", "x"]), "x");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_has_processes_names_and_clocks_of_its_own() {
    let seen = printed(&[
        "--hostname",
        "box",
        "--",
        "sh",
        "-c",
        "hostname; cat /etc/hostname; ls -d /proc/[0-9]* | wc -l; cat /proc/self/cgroup",
    ]);
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(&lines[..2], ["box", "box"]);
    assert!(lines[2].trim().parse::<u32>().unwrap() < 8, "{seen}");
    assert!(
        lines[3..]
            .iter()
            .all(|line| line.ends_with(":/") || line.starts_with("0::")),
        "{seen}"
    );
    if Path::new("/proc/self/ns/time").exists() {
        let clock = "import time; print(time.clock_gettime(7), time.clock_gettime(1))";
        if Path::new("/usr/bin/python3").exists() {
            let clocks = printed(&["--", "/usr/bin/python3", "-c", clock]);
            let mut clocks = clocks
                .split_whitespace()
                .map(|word| word.parse::<f64>().unwrap());
            assert!(clocks.all(|clock| (0.0..60.0).contains(&clock)));
        }
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn its_network_is_none_unless_it_is_the_hosts() {
    let own = printed(&["--", "cat", "/proc/net/dev"]);
    assert_eq!(own.lines().skip(2).count(), 1, "{own}");
    let link = fs::read_link("/proc/self/ns/net").unwrap();
    let seen = printed(&["--net", "host", "--", "readlink", "/proc/self/ns/net"]);
    assert_eq!(seen.trim(), text(&link));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_reaches_itself_by_localhost() {
    let script = "import socket; server = socket.create_server(('127.0.0.1', 0)); \
        socket.create_connection(('localhost', server.getsockname()[1]), 5); print('reached')";
    assert_eq!(printed(&["--", "python3", "-c", script]), "reached\n");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_user_is_found_by_the_containers_own_passwd() {
    let root = busybox();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(
        root.path().join("etc/passwd"),
        "a:x:1234:99::/home/a:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.path().join("etc/group"), "g:x:77:a\n").unwrap();
    let rootfs = text(root.path());
    let seen = printed(&[
        "--rootfs",
        rootfs,
        "-u",
        "a",
        "--",
        "sh",
        "-c",
        "id; echo $HOME",
    ]);
    assert!(
        seen.contains("uid=1234") && seen.contains("gid=99") && seen.contains("77"),
        "{seen}"
    );
    assert!(seen.ends_with("/home/a\n"), "{seen}");
    let seen = printed(&["-u", "4321:8765", "--", "id"]);
    assert!(
        seen.contains("uid=4321") && seen.contains("gid=8765"),
        "{seen}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_environment_is_not_the_callers_but_what_is_handed_on() {
    let output = run(&["-e", "A=1", "-e", "HANDED", "--", "env"])
        .env("HANDED", "on")
        .env("SECRET", "x")
        .output()
        .unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(
        seen.contains("A=1\n") && seen.contains("HANDED=on\n"),
        "{seen}"
    );
    assert!(!seen.contains("SECRET"), "{seen}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_working_directory_is_made_where_it_is_missing() {
    assert_eq!(printed(&["--", "pwd"]), "/\n");
    assert_eq!(
        printed(&["-w", "/no/such/place", "--", "pwd"]),
        "/no/such/place\n"
    );
    assert!(!Path::new("/no").exists());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn standard_input_is_handed_on_only_where_it_is_asked_for() {
    for (words, expected) in [(&["--", "cat"][..], ""), (&["-i", "--", "cat"], "typed")] {
        let mut process = run(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = process.stdin.take().unwrap().write_all(b"typed");
        let output = process.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn output_can_be_thrown_away() {
    let null = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/null")
            .unwrap()
    };
    let status = run(&["--", "sh", "-c", "echo x && echo y >&2"])
        .stdout(null())
        .stderr(null())
        .status()
        .unwrap();
    assert!(status.success());
}

// What it may use.

#[test]
#[ignore = "needs root and /dev/fuse"]
fn limits_are_what_was_asked_for() {
    let name = unique("limits");
    let running = Running::start(
        &[
            "--name",
            &name,
            "-m",
            "64M",
            "--cpus",
            "0.5",
            "--cpuset-cpus",
            "0",
            "--pids-limit",
            "40",
        ],
        "sleep 1000",
    );
    assert_eq!(
        limit(&name, "memory.max", "memory.limit_in_bytes"),
        "67108864"
    );
    let cpu = limit(&name, "cpu.max", "cpu.cfs_quota_us");
    assert!(cpu == "50000 100000" || cpu == "50000", "{cpu}");
    assert_eq!(limit(&name, "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(limit(&name, "pids.max", "pids.max"), "40");
    running.signal("TERM");
    assert_eq!(running.status(), 143);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_starts_in_the_least_memory() {
    let seen = printed(&["-m", "6M", "--", "sh", "-c", "cat /proc/meminfo | cat"]);
    assert!(seen.contains("MemTotal:"), "{seen}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_cannot_change_its_own_limits() {
    let script = "for f in $(find /sys/fs/cgroup -name memory.max -o -name memory.limit_in_bytes); \
                  do echo 1G > $f && echo changed || echo refused; done";
    let seen = printed(&["-m", "64M", "--", "sh", "-c", script]);
    assert!(
        !seen.is_empty() && seen.lines().all(|line| line == "refused"),
        "{seen}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn limits_hold_against_root_in_a_user_namespace() {
    let name = unique("lifted");
    let lift = "mount -t cgroup -o memory none /mnt || mount -t cgroup2 none /mnt; cd /mnt; \
        for f in memory.swap.max memory.max; do test ! -e $f || echo max > $f && echo lifted; done; \
        for f in memory.memsw.limit_in_bytes memory.limit_in_bytes; do \
        test ! -e $f || echo -1 > $f && echo lifted; done";
    let script =
        format!("unshare -UrmC sh -c '{lift}'; grep MemTotal /proc/meminfo; echo over; sleep 1000");
    let running = Running::start(&["--name", &name, "-m", "64M"], &script);
    wait_until("it tried", || running.says("over"));
    assert!(running.says("lifted"));
    assert!(running.says("MemTotal:          65536 kB"));
    let memory = limit(&name, "memory.max", "memory.limit_in_bytes");
    assert_eq!(memory, "67108864");
    running.signal("TERM");
    running.status();
}

// Its files.

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_hosts_files_are_there_and_stay_as_they_are() {
    let directory = tempfile::tempdir_in("/var").unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "before").unwrap();
    let script = format!(
        "cat {0}; echo after > {0}; cat {0}; rm -r {1}",
        text(&file),
        text(directory.path())
    );
    assert_eq!(printed(&["--", "sh", "-c", &script]), "beforeafter\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_hosts_devices_and_kernel_settings_cannot_be_changed() {
    for script in [
        "mknod /tmp/disk b 8 0",
        "echo 1 > /proc/sys/vm/drop_caches",
        "echo h > /proc/sysrq-trigger",
        "mount -t tmpfs none /mnt",
        "umount /proc/meminfo",
        "touch /sys/x",
        "hostname other",
        "date -s 2000-01-01",
        "cat /proc/kcore | head -c1 | grep .",
        "cat /dev/mem",
        "cat /dev/fuse",
    ] {
        assert_ne!(status(&["--", "sh", "-c", script]), 0, "{script}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_program_that_started_it_cannot_be_changed() {
    let before = fs::read(PROGRAM).unwrap();
    assert_ne!(status(&["--", "sh", "-c", "echo x >> /proc/1/exe"]), 0);
    let name = unique("shielded");
    let running = Running::start(&["--name", &name], "exec sleep 1000");
    let mut writable = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.starts_with(PROGRAM) && line.contains(&name) {
            // The answer to an open would be ETXTBSY, which not every kernel gives.
            let mount = nix::sys::statvfs::statvfs(&entry.path().join("exe")).unwrap();
            writable.push(
                !mount
                    .flags()
                    .contains(nix::sys::statvfs::FsFlags::ST_RDONLY),
            );
        }
    }
    assert!(!writable.is_empty() && !writable.contains(&true));
    running.signal("TERM");
    running.status();
    assert!(before == fs::read(PROGRAM).unwrap());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_sees_nothing_of_other_containers() {
    let name = unique("neighbour");
    let running = Running::start(&["--name", &name], "echo secret > /secret; sleep 1000");
    let found = printed(&[
        "--",
        "sh",
        "-c",
        "find /var/lib/plimsoll-run /run/plimsoll-run -mindepth 1; true",
    ]);
    assert_eq!(found, "");
    running.signal("TERM");
    running.status();
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_volume_is_shared_and_can_be_read_only() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in"), "in").unwrap();
    let source = text(directory.path());
    let volume = format!("{source}:/a/new/place");
    assert_eq!(
        printed(&[
            "-v",
            &volume,
            "--",
            "sh",
            "-c",
            "cat /a/new/place/in; echo out > /a/new/place/out"
        ]),
        "in"
    );
    assert_eq!(
        fs::read_to_string(directory.path().join("out")).unwrap(),
        "out\n"
    );
    let volume = format!("{source}:/place:ro");
    assert_ne!(status(&["-v", &volume, "--", "touch", "/place/x"]), 0);
    let volume = format!("{source}/in:/etc/motd.test");
    assert_eq!(
        printed(&["-v", &volume, "--", "cat", "/etc/motd.test"]),
        "in"
    );
    assert!(!Path::new("/etc/motd.test").exists() && !Path::new("/a").exists());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn run_is_the_containers_own_and_takes_volumes_and_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in"), "in").unwrap();
    let volume = format!("{}:/run/volume", text(directory.path()));
    let words = ["-v", &volume, "-v", "/run/fresh", "-w", "/run/work", "--"];
    let script = ["sh", "-c", "pwd; ls /run; cat /run/volume/in; touch /run/x"];
    assert_eq!(
        printed(&[&words[..], &script[..]].concat()),
        "/run/work\nfresh\nvolume\nwork\nin"
    );
    assert_eq!(status(&["--read-only", "--", "touch", "/run/x"]), 0);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_anonymous_volume_begins_with_what_the_root_has_and_is_thrown_away() {
    let layer = busybox();
    fs::create_dir(layer.path().join("data")).unwrap();
    fs::write(layer.path().join("data/seed"), "seed").unwrap();
    let name = unique("anonymous");
    let words = [
        "--layer",
        text(layer.path()),
        "--keep",
        "--name",
        &name,
        "-v",
        "/data",
        "--",
    ];
    let script = ["sh", "-c", "cat /data/seed; echo x > /data/new; ls /data"];
    assert_eq!(
        printed(&[&words[..], &script[..]].concat()),
        "seednew\nseed\n"
    );
    let kept = kept(&name);
    assert!(!kept.join("data/new").exists());
    fs::remove_dir_all(kept).unwrap();
    assert!(!layer.path().join("data/new").exists());
}

/// Where the changes of a container are kept.
fn kept(name: &str) -> PathBuf {
    ["/var/lib/plimsoll-run", "/run/plimsoll-run"]
        .map(|root| Path::new(root).join("kept").join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap()
}

#[test]
#[ignore = "needs root, /dev/fuse and a quiet machine"]
fn what_is_kept_is_what_the_command_changed_and_nothing_of_ours() {
    let (lower, upper) = (busybox(), busybox());
    fs::create_dir(lower.path().join("etc")).unwrap();
    std::os::unix::fs::symlink("../run/resolv", lower.path().join("etc/resolv.conf")).unwrap();
    fs::write(upper.path().join("which"), "upper").unwrap();
    fs::write(lower.path().join("which"), "lower").unwrap();
    let name = unique("kept");
    let volume = format!("{}:/mounted/here", text(upper.path()));
    let output = output(&[
        "--layer",
        text(lower.path()),
        "--layer",
        text(upper.path()),
        "--keep",
        "--name",
        &name,
        "-v",
        &volume,
        "--",
        "sh",
        "-c",
        "cat /which; rm /which; echo new > /new; echo 1.2.3.4 x >> /etc/hosts",
    ]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "upper");
    let kept = kept(&name);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains(text(&kept))
    );
    let mut names: Vec<_> = fs::read_dir(&kept)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["etc", "new", "which"]);
    assert_eq!(fs::read_dir(kept.join("etc")).unwrap().count(), 0);
    // A removed file is kept as a device 0/0: a whiteout, as every overlay reads it.
    assert_eq!(fs::symlink_metadata(kept.join("which")).unwrap().rdev(), 0);
    let again = printed(&[
        "--layer",
        text(lower.path()),
        "--layer",
        text(upper.path()),
        "--layer",
        text(&kept),
        "--",
        "sh",
        "-c",
        "ls /which 2>&1; cat /new",
    ]);
    assert!(
        again.contains("No such file") && again.ends_with("new\n"),
        "{again}"
    );
    fs::remove_dir_all(kept).unwrap();
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_directory_as_root_is_written_to_and_gets_nothing_of_ours() {
    let root = busybox();
    let words = ["--rootfs", text(root.path()), "-v", "/etc:/host/etc", "--"];
    let script = ["sh", "-c", "cat /etc/hosts; echo x > /written"];
    assert!(printed(&[&words[..], &script[..]].concat()).contains("localhost"));
    assert_eq!(entries(root.path()), ["bin", "written"]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_directory_as_root_gets_nothing_of_ours_when_the_start_fails() {
    let root = busybox();
    for wrong in [
        ["-u", "nosuch"],
        ["-v", "/etc:/proc/x"],
        ["-w", "/bin/busybox/x"],
    ] {
        let words = [
            "--rootfs",
            text(root.path()),
            wrong[0],
            wrong[1],
            "--",
            "sh",
        ];
        refusal(&words);
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{wrong:?} left {names:?}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn links_in_a_root_do_not_lead_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    for link in ["link", "etc"] {
        let root = busybox();
        std::os::unix::fs::symlink(outside.path(), root.path().join(link)).unwrap();
        let volume = format!("{}:/link/file", text(&root.path().join("bin/busybox")));
        let volume: &[&str] = if link == "link" {
            &["-v", &volume]
        } else {
            &[]
        };
        let words = [&["--rootfs", text(root.path())], volume, &["--", "true"]];
        // Within its root such a link leads nowhere, so the start is refused.
        let status = status(&words.concat());
        assert!(status == 125, "{link}: {status}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{link}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_read_only_root_takes_no_change() {
    assert_ne!(status(&["--read-only", "--", "touch", "/x"]), 0);
    assert_ne!(status(&["--read-only", "--", "touch", "/etc/hosts"]), 0);
    assert_eq!(
        status(&["--read-only", "-v", "/data", "--", "touch", "/data/x"]),
        0
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_read_only_directory_takes_no_change_on_what_is_mounted_in_it() {
    let root = busybox();
    fs::create_dir(root.path().join("data")).unwrap();
    let rootfs = text(root.path());
    let script = format!(
        "mount -t tmpfs none {rootfs}/data && \
         {PROGRAM} run --read-only --rootfs {rootfs} -- touch /data/x; ls {rootfs}/data"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Read-only"), "{said}");
    assert!(output.stdout.is_empty());
}

// Its end.

#[test]
#[ignore = "needs root and /dev/fuse"]
fn signals_are_handed_on() {
    for (signal, expected) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("USR1", 138)] {
        let running = Running::start(&[], "exec sleep 1000");
        running.signal(signal);
        assert_eq!(running.status(), expected, "{signal}");
    }
    let running = Running::start(
        &[],
        "trap 'echo caught; exit 3' TERM; while :; do sleep 0.1; done",
    );
    running.signal("TERM");
    assert_eq!(running.status(), 3);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_command_that_lives_on_after_ctrl_c_keeps_its_view() {
    let running = Running::start(
        &["-m", "64M"],
        "trap 'echo caught; grep MemTotal /proc/meminfo; exit 3' INT; while :; do sleep 0.1; done",
    );
    running.signal_all("INT");
    wait_until("it caught the signal", || running.says("caught"));
    wait_until("it read its view", || {
        running.says("MemTotal:          65536 kB")
    });
    assert_eq!(running.status(), 3);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_orphan_ends_with_the_command() {
    let mark = unique("orphan");
    printed(&[
        "--",
        "sh",
        "-c",
        &format!("sh -c 'sleep 1000; : {mark}' & true"),
    ]);
    assert_eq!(processes(&mark), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn nothing_stays_behind() {
    let name = unique("ends");
    assert_eq!(
        status(&["--name", &name, "-m", "64M", "-v", "/x", "--", "true"]),
        0
    );
    assert_eq!(traces(&name), Vec::<String>::new());
    let name = unique("fails");
    assert_eq!(
        status(&["--name", &name, "-u", "nobody-of-that-name", "--", "true"]),
        125
    );
    assert_eq!(traces(&name), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_killed_run_takes_its_container_along_and_the_next_one_cleans_up() {
    let name = unique("killed");
    let mut running = Running::start(&["--name", &name, "-m", "64M"], "sleep 1000");
    running.signal("KILL");
    running.process.wait().unwrap();
    wait_until("its processes are dead", || processes(&name).is_empty());
    assert_eq!(status(&["--", "true"]), 0);
    assert_eq!(traces(&name), Vec::<String>::new());
    assert_eq!(status(&["--name", &name, "--", "true"]), 0);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_program_of_another_user_dies_with_a_killed_run_too() {
    // Becoming a program with the set-user-ID bit takes the kernel's promise away from a process.
    let mark = unique("setuid");
    let script = format!("su nobody -s /bin/sh -c 'sleep 1000; : {mark}'");
    let mut running = Running::start(&[], &format!("{script} & sleep 1; echo inside; wait"));
    wait_until("it runs", || running.says("inside"));
    running.signal("KILL");
    running.process.wait().unwrap();
    wait_until("it is dead", || processes(&mark).is_empty());
    // What it left is the next start's to remove.
    assert_eq!(status(&["--", "true"]), 0);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn changes_to_be_kept_outlive_a_killed_run() {
    let name = unique("saved");
    let mut running = Running::start(
        &["--name", &name, "--keep"],
        "echo x > /root/saved; echo done; sleep 1000",
    );
    wait_until("it wrote", || running.says("done"));
    running.signal("KILL");
    running.process.wait().unwrap();
    assert_eq!(status(&["--", "true"]), 0);
    let kept = kept(&name);
    assert!(kept.join("root/saved").exists());
    for ours in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        assert!(!kept.join(ours).exists(), "{ours} is in the kept changes");
    }
    fs::remove_dir_all(kept).unwrap();
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_killed_run_leaves_nothing_of_ours_in_a_directory_as_root() {
    let root = busybox();
    let mut running = Running::start(
        &["--rootfs", text(root.path())],
        "echo x > /written; echo done; sleep 1000",
    );
    wait_until("it wrote", || running.says("done"));
    running.signal("KILL");
    running.process.wait().unwrap();
    assert_eq!(status(&["--", "true"]), 0);
    assert_eq!(entries(root.path()), ["bin", "written"]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_terminal_has_the_size_the_keys_and_the_jobs_of_a_real_one() {
    let script = include_str!("terminal.py");
    let output = Command::new("python3")
        .args(["-c", script, PROGRAM])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

// What is refused.

#[test]
#[ignore = "needs root and /dev/fuse"]
fn bad_input_is_refused_in_one_line_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = text(file.path());
    for (words, said) in [
        (&["-m", "12Q"][..], "12Q"),
        (&["-m", "1K"], "6M"),
        (&["--memory-swap", "1G"], "--memory"),
        (&["--cpus", "0"], "--cpus 0"),
        (&["--cpus", "1e9"], "--cpus 1e9"),
        (&["--cpuset-cpus", "9999"], "9999"),
        (&["--pids-limit", "few"], "few"),
        (&["--rootfs", "/no/such/root"], "/no/such/root"),
        (&["--rootfs", file], file),
        (&["--layer", "/no/such/layer"], "/no/such/layer"),
        (&["--layer", "/proc"], "/proc"),
        (&["-v", "/no/such/source:/x"], "/no/such/source"),
        (&["-v", "relative:/x"], "relative"),
        (&["-v", "/etc:x"], "/etc:x"),
        (&["-v", "/etc:/proc/x"], "/proc/x"),
        (&["-v", "/dev"], "/dev"),
        (&["-w", "relative"], "relative"),
        (&["--name", "a/b"], "a/b"),
        (&["--hostname", "a_b"], "a_b"),
        (&["-e", "=x"], "=x"),
        (&["-u", "nobody-of-that-name"], "nobody-of-that-name"),
        (&["--net", "bridge"], "bridge"),
        (&["--no-such-option"], "--no-such-option"),
        (&["-it"], "terminal"),
        (&["--rootfs", "/", "--keep"], "--keep"),
    ] {
        let name = unique("refused");
        let words = [
            words,
            if words.contains(&"--name") {
                &[]
            } else {
                &["--name", &name]
            },
            &["--", "true"],
        ];
        let line = refusal(&words.concat());
        assert!(line.contains(said), "{line}");
        assert_eq!(traces(&name), Vec::<String>::new(), "{line}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_name_in_use_is_refused() {
    let name = unique("twice");
    let running = Running::start(&["--name", &name], "sleep 1000");
    assert!(refusal(&["--name", &name, "--", "true"]).contains(&name));
    running.signal("TERM");
    assert_eq!(running.status(), 143);
    assert_eq!(status(&["--name", &name, "--", "true"]), 0);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn who_is_not_root_is_told_so() {
    let line = refused(Command::new("setpriv").args([
        "--reuid",
        "65534",
        "--clear-groups",
        PROGRAM,
        "run",
        "--",
        "true",
    ]));
    assert!(line.contains("root"), "{line}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_machine_without_fuse_is_told_how_to_get_it() {
    let script = format!("mount -t tmpfs none /dev && exec {PROGRAM} run -- true");
    let line = refused(Command::new("unshare").args(["-m", "sh", "-c", &script]));
    assert!(
        line.contains("/dev/fuse") && line.contains("modprobe"),
        "{line}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_machine_without_the_controller_is_told_which_and_how_to_get_it() {
    // A tmpfs looks like a v1 host on which nothing is mounted but one controller.
    let script = format!(
        "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/freezer && \
         {{ mount -t cgroup -o freezer none /sys/fs/cgroup/freezer || exit 99; }} && \
         exec {PROGRAM} run -m 64M -- true"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .unwrap();
    if output.status.code() == Some(99) {
        // Where v2 has every controller, v1 has none to offer: then no cgroup at all is the case.
        let script =
            format!("mount -t tmpfs none /sys/fs/cgroup; exec {PROGRAM} run -m 64M -- true");
        let line = refused(Command::new("unshare").args(["-m", "sh", "-c", &script]));
        assert!(line.contains("mount -t cgroup2"), "{line}");
        return;
    }
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(
        line.contains("\"memory\"") && line.contains("mount -t cgroup -o memory"),
        "{line}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_in_a_container_is_refused_clearly() {
    let output = output(&["--", PROGRAM, "run", "--", "true"]);
    let line = String::from_utf8(output.stderr).unwrap();
    // Below /tmp or a file system that is not shown, the program itself is not there.
    let code = output.status.code();
    assert!(
        code == Some(127) || (code == Some(125) && line.contains("CAP_SYS_ADMIN")),
        "{line}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_container_reads_from_the_daemon_that_serves_where_the_configuration_says_and_does_not_find_it()
{
    let daemon = Daemon::start();
    let (_directory, config) = configured(&format!("mountpoint = {:?}", daemon.mountpoint));
    let script = format!(
        "grep ' /proc/meminfo ' /proc/self/mountinfo; [ ! -e {at} ] || ls -A {at}",
        at = daemon.mountpoint.display()
    );
    let text = printed(&["--config", &config, "-m", "64M", "--", "sh", "-c", &script]);
    let source = plimsoll::base::paths::mount_source(&daemon.mountpoint);
    assert_eq!(text.matches(&source).count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_configuration_with_a_mistake_is_refused_in_one_line_that_names_it() {
    let (_directory, config) = configured("mountpoint = 1");
    let line = refusal(&["--config", &config, "--", "true"]);
    assert!(line.contains(&config) && line.contains("line 1"), "{line}");
}
