//! The death, hang or replacement of a daemon: its readers notice no more than a pause.

mod abort;
mod handover;
mod harm;
mod poison;
mod releases;
mod service;
mod storm;

use crate::harness::{Cgroup, Daemon, children, field, kill, numbers, plimsoll, wait_until};
use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    mem,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const MIB: u64 = 1 << 20;

/// A container that runs lines of shell, one at a time.
struct Guest {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _cgroup: Cgroup,
}

impl Guest {
    /// Starts a guest of 64 MB that reads from the shared tree of a daemon.
    fn of(daemon: &Daemon) -> Guest {
        Guest::on(&daemon.mountpoint)
    }

    /// Starts a guest of 64 MB that reads from the view at that mount point.
    fn on(view: &Path) -> Guest {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(64 * MIB);
        let mut process = cgroup
            .shell_on(
                view,
                "exec 7</proc/meminfo; while read line; do eval \"$line\" 2>&1 || true; echo END; done",
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Guest {
            stdin: process.stdin.take().unwrap(),
            stdout: BufReader::new(process.stdout.take().unwrap()),
            process,
            _cgroup: cgroup,
        }
    }

    /// Runs a line of shell. Returns its standard output and standard error.
    fn run(&mut self, line: &str) -> String {
        writeln!(self.stdin, "{line}").unwrap();
        let mut output = String::new();
        loop {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "the guest has ended: {output}"
            );
            if line == "END\n" {
                return output;
            }
            output += &line;
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The system call, because kill(1) of procps 4.0.2 takes a group's number without `--` for -1.
        let group = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, python3, a real CPU and a quiet machine"]
fn no_read_fails_while_the_daemon_is_killed_replaced_and_hangs() {
    let kills = kills().unwrap_or(100);
    let (upgrades, hangs) = (1 + kills / 11, 1 + kills / 100);
    let watchdog = if kills < 100 { 8 } else { 2 };
    survive(&format!(
        "--kills {kills} --upgrades {upgrades} --hangs {hangs} --watchdog {watchdog}"
    ));
}

/// Returns the number of kills that the environment asks for. An emulated machine takes seconds for each.
fn kills() -> Option<u32> {
    let kills = std::env::var("PLIMSOLL_KILLS").ok()?;
    Some(kills.parse().unwrap())
}

/// Runs `integration/lab/survive`, whose readers verify every byte.
fn survive(options: &str) {
    let survive = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/lab/survive");
    let output = Command::new(survive)
        .args(options.split(' '))
        .arg(env!("CARGO_BIN_EXE_plimsoll"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("errors 0, wrong 0, hanging readers 0"),
        "{said}"
    );
    std::io::stdout().write_all(said.as_bytes()).unwrap();
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_keeper_has_one_thread_and_little_memory_of_its_own() {
    let daemon = Daemon::start();
    let keeper = daemon.process.id();
    let status = fs::read_to_string(format!("/proc/{keeper}/status")).unwrap();
    assert_eq!(field(&status, "Threads"), 1);
    // The pages of a program that was just built are dirty until they are on the disk.
    nix::unistd::sync();
    // Pages that the keeper shares with the daemon belong to the daemon.
    let memory = fs::read_to_string(format!("/proc/{keeper}/smaps_rollup")).unwrap();
    assert!(field(&memory, "Private_Dirty") <= 256, "{memory}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_killed_keeper_is_replaced_by_one_that_works() {
    let mut daemon = Daemon::start();
    let serving = daemon.pid();
    daemon.process.kill().unwrap();
    daemon.process.wait().unwrap();
    wait_until("another keeper runs", || !keepers(serving).is_empty());
    let keeper = keepers(serving);
    // At once, before the new keeper listens.
    kill("KILL", serving);
    let read = fs::read(daemon.path("proc/meminfo"));
    assert!(read.is_ok(), "{read:?}");
    let successor = children(keeper[0]);
    assert_eq!(successor.len(), 1);
    assert_ne!(successor[0], serving);
    kill("TERM", keeper[0]);
    wait_until("keeper and daemon are gone", || {
        !Path::new(&format!("/proc/{}", successor[0])).exists()
    });
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_keeper_that_is_killed_is_followed_at_once_however_often() {
    let mut daemon = Daemon::start();
    let serving = daemon.pid();
    daemon.process.kill().unwrap();
    daemon.process.wait().unwrap();
    let begun = Instant::now();
    let mut last = 0;
    for _ in 0..8 {
        let next = || keepers(serving).into_iter().find(|pid| *pid != last);
        wait_until("another keeper runs", || next().is_some());
        last = next().unwrap();
        kill("KILL", last);
    }
    let next = || keepers(serving).into_iter().find(|pid| *pid != last);
    wait_until("another keeper runs", || next().is_some());
    // A pause of a second after each would make eight; the machine may be emulated.
    let took = begun.elapsed();
    kill("TERM", next().unwrap());
    wait_until("the daemon is gone", || {
        !Path::new(&format!("/proc/{serving}/exe")).exists()
    });
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_signal_that_reaches_a_keeper_as_it_starts_ends_the_daemon() {
    for _ in 0..5 {
        let mut daemon = Daemon::start();
        let serving = daemon.pid();
        daemon.process.kill().unwrap();
        daemon.process.wait().unwrap();
        wait_until("another keeper runs", || !keepers(serving).is_empty());
        kill("TERM", keepers(serving)[0]);
        wait_until("the daemon is gone", || {
            !Path::new(&format!("/proc/{serving}/exe")).exists()
        });
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(daemon.mountpoint.to_str().unwrap()));
    }
}

/// Lists the keepers that a daemon has started. A daemon has other children, too: it starts one to
/// attach the containers that wait.
fn keepers(daemon: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{daemon}/task")).unwrap();
    let lists = threads.map(|task| task.unwrap().path().join("children"));
    let is_keeper = |pid: &u32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument == b"--adopt")
    };
    lists
        .flat_map(|list| numbers(&fs::read_to_string(list).unwrap_or_default()))
        .filter(is_keeper)
        .collect()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_daemon_with_stopped_threads_is_replaced_and_its_readers_are_answered() {
    for name in ["fuser-", ""] {
        let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "2"]);
        let before = daemon.pid();
        let kept = File::open(daemon.path("proc/meminfo")).unwrap();
        stop_threads(before, name);
        assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
        assert!(std::io::read_to_string(kept).unwrap().contains("MemTotal"));
        // A daemon writes its pid after it has answered the readers that waited.
        wait_until("another daemon has the lock", || daemon.pid() != before);
    }
}

/// The time that a tracer takes for each thread of a dead process.
const SLOW_TRACER: Duration = Duration::from_millis(200);

/// Stops the threads of a process whose names begin with `name`, until they are killed. Each thread stops by
/// itself, as in a deadlock.
fn stop_threads(pid: u32, name: &str) {
    let named = || -> Vec<Pid> {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let threads = threads.map(|thread| thread.unwrap().path());
        let is_wanted = |thread: &std::path::PathBuf| {
            let comm = fs::read_to_string(thread.join("comm"));
            comm.is_ok_and(|comm| comm.starts_with(name))
        };
        let tids = threads.filter(is_wanted);
        let tids = tids.map(|thread| thread.file_name().unwrap().to_str().unwrap().parse());
        tids.map(|tid| Pid::from_raw(tid.unwrap())).collect()
    };
    // A new thread gives itself its name some time after the daemon serves.
    let mut wanted = Vec::new();
    wait_until("the threads have their names", || {
        thread::sleep(Duration::from_millis(200));
        let before = mem::replace(&mut wanted, named());
        before.len() == wanted.len()
    });
    assert!(!wanted.is_empty());
    let (stopped, are_stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for tid in &wanted {
            // A thread that has ended meanwhile counts as stopped.
            let seized = ptrace::seize(*tid, ptrace::Options::empty());
            let stopped = seized.and_then(|()| ptrace::interrupt(*tid));
            let _ = stopped.and_then(|()| waitpid(*tid, Some(WaitPidFlag::__WALL)));
        }
        stopped.send(()).unwrap();
        // The tracer must reap the threads before their parent can.
        for tid in wanted.iter().rev() {
            while let Ok(how) = waitpid(*tid, Some(WaitPidFlag::__WALL)) {
                if let WaitStatus::Signaled(..) | WaitStatus::Exited(..) = how {
                    break;
                }
            }
            // A slow tracer: the keeper has given the daemon up before the daemon can be reaped.
            thread::sleep(SLOW_TRACER);
        }
    });
    are_stopped.recv().unwrap();
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_daemon_that_is_told_to_end_takes_its_files_out_of_every_container() {
    let mut daemon = Daemon::start();
    let mut guest = Guest::of(&daemon);
    assert_eq!(field(&guest.run("cat /proc/meminfo"), "MemTotal"), 64 << 10);
    daemon.signal("TERM");
    assert!(daemon.process.wait().unwrap().success());
    let host = fs::read_to_string("/proc/meminfo").unwrap();
    let seen = guest.run("cat /proc/meminfo");
    assert_eq!(field(&seen, "MemTotal"), field(&host, "MemTotal"));
    let left = guest.run("grep fuse.plimsoll /proc/self/mountinfo");
    // Other daemons may serve on this machine. Their views are not bound in this container.
    let ours = daemon.mountpoint.to_str().unwrap();
    let is_left = |line: &&str| {
        [" /proc/", " /sys/", ours]
            .iter()
            .any(|at| line.contains(at))
    };
    assert_eq!(left.lines().find(is_left), None);
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn the_next_daemon_repairs_containers_whose_daemon_and_keeper_were_both_killed() {
    let mut daemon = Daemon::start();
    let mut guest = Guest::of(&daemon);
    assert_eq!(field(&guest.run("cat /proc/meminfo"), "MemTotal"), 64 << 10);
    daemon.kill();
    // The kernel aborts a request of the moment in which the connection ends.
    let is_dead = |said: &str| said.contains("not connected") || said.contains("connection abort");
    let said = guest.run("cat /proc/meminfo");
    assert!(is_dead(&said), "{said}");
    let _next = Daemon::on(daemon.mountpoint.clone());
    wait_until("the container is repaired", || {
        let seen = guest.run("cat /proc/meminfo /proc/uptime /proc/stat");
        seen.contains("MemTotal") && !is_dead(&seen)
    });
    assert_eq!(field(&guest.run("cat /proc/meminfo"), "MemTotal"), 64 << 10);
    // A file that was open of the dead daemon stays dead.
    assert!(guest.run("cat <&7").contains("not connected"));
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and a quiet machine"]
fn a_container_of_run_outlives_its_embedded_daemon() {
    let mut run = plimsoll()
        .args(["run", "-i", "-m", "64m", "--", "sh", "-c"])
        .arg("cat /proc/meminfo; echo END; read line; cat /proc/meminfo /proc/uptime; echo END; read line")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(run.stdout.take().unwrap());
    let mut hear = || {
        let mut text = String::new();
        while !text.ends_with("END\n") {
            assert!(said.read_line(&mut text).unwrap() > 0, "{text}");
        }
        text
    };
    assert_eq!(field(&hear(), "MemTotal"), 64 << 10);
    let mut embedded = children(run.id()).into_iter().filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        String::from_utf8_lossy(&line).contains("--embedded")
    });
    let keeper = embedded.next().unwrap();
    kill("KILL", children(keeper)[0]);
    run.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert_eq!(field(&hear(), "MemTotal"), 64 << 10);
    run.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert!(run.wait().unwrap().success());
    assert!(!Path::new(&format!("/proc/{keeper}")).exists());
}
