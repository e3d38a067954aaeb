//! The daemon under systemd: the packaged unit, with shorter timeouts.

use super::{Guest, kills, survive};
use crate::harness::{field, host_memory_kib, kill, plimsoll, stdout_of, wait_until};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use parking_lot::{Mutex, MutexGuard};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const PROGRAM: &str = "/usr/bin/plimsoll";
const UNIT: &str = "/run/systemd/system/plimsoll.service";
const SHORTER: &str = "/run/systemd/system/plimsoll.service.d/shorter.conf";
const VIEW: &str = "/var/lib/plimsoll";

/// The right to use the unit, of which there is one.
static UNIT_LOCK: Mutex<()> = Mutex::new(());

/// The installed service, which serves. Removed when dropped.
struct Service(
    #[expect(dead_code, reason = "held until the service is removed")] MutexGuard<'static, ()>,
);

impl Service {
    fn start() -> Service {
        let lock = UNIT_LOCK.lock();
        for theirs in [
            PROGRAM,
            "/etc/systemd/system/plimsoll.service",
            "/usr/lib/systemd/system/plimsoll.service",
        ] {
            assert!(
                !Path::new(theirs).exists(),
                "{theirs} belongs to an installed package"
            );
        }
        let service = Service(lock);
        let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/plimsoll.service");
        install();
        fs::create_dir_all(Path::new(SHORTER).parent().unwrap()).unwrap();
        fs::write(SHORTER, "[Service]\nWatchdogSec=5\nTimeoutStopSec=5\n").unwrap();
        fs::copy(packaged, UNIT).unwrap();
        systemctl("daemon-reload");
        systemctl("start plimsoll");
        service
    }

    fn pid() -> u32 {
        systemctl("show -P MainPID plimsoll")
            .trim()
            .parse()
            .unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The stop needs the program, so it comes first, as in the removal of a package.
        let _ = Command::new("systemctl")
            .args(["stop", "plimsoll"])
            .status();
        for file in [UNIT, SHORTER, PROGRAM] {
            let _ = fs::remove_file(file);
        }
        let _ = Command::new("systemctl").arg("daemon-reload").status();
        let _ = fs::remove_dir(VIEW);
    }
}

/// A process that is stopped in a loop, because systemd sends SIGCONT after each signal.
struct Hung(Arc<AtomicBool>);

impl Hung {
    fn of(pid: u32) -> Hung {
        let ended = Arc::new(AtomicBool::new(false));
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        let (send, until) = (
            move || signal::kill(pid, Signal::SIGSTOP),
            Arc::clone(&ended),
        );
        send().unwrap();
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) && send().is_ok() {
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        Hung(ended)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Replaces the program as dpkg does.
fn install() {
    let new = format!("{PROGRAM}.new");
    fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &new).unwrap();
    fs::rename(new, PROGRAM).unwrap();
}

/// Runs systemctl with these words, which must succeed. Returns its standard output.
fn systemctl(words: &str) -> String {
    let output = Command::new("systemctl")
        .args(words.split(' '))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "systemctl {words}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that the container sees the host's files, and that no read hangs.
fn assert_sees_the_host(guest: &mut Guest) {
    let seen = guest.run("timeout 5 cat /proc/meminfo");
    assert_eq!(field(&seen, "MemTotal"), host_memory_kib());
    let mounts = guest.run("grep fuse.plimsoll /proc/self/mountinfo");
    assert_eq!(mounts, "");
    // An open file of the view fails and does not hang.
    let begun = Instant::now();
    let kept = guest.run("timeout 20 cat <&7");
    assert!(begun.elapsed() < Duration::from_secs(15), "{kept}");
    assert!(!Path::new(VIEW).join("proc").exists());
}

#[test]
#[ignore = "needs root, /dev/fuse, systemd, python3 and a quiet machine"]
fn no_read_fails_while_systemd_replaces_a_daemon_that_is_killed_upgraded_or_hangs() {
    let _service = Service::start();
    let kills = kills().unwrap_or(10);
    let (upgrades, hangs) = (kills / 5, kills.div_ceil(100));
    survive(&format!(
        "--under systemd --kills {kills} --upgrades {upgrades} --hangs {hangs} --pause 1"
    ));
}

#[test]
#[ignore = "needs root, /dev/fuse, systemd and a quiet machine"]
fn a_new_program_serves_after_a_restart_and_the_hosts_files_are_there_after_a_stop() {
    let _service = Service::start();
    let mut guest = Guest::on(Path::new(VIEW));
    let before = Service::pid();
    install();
    systemctl("restart plimsoll");
    assert_ne!(Service::pid(), before);
    assert_eq!(field(&guest.run("cat <&7"), "MemTotal"), 64 << 10);
    systemctl("stop plimsoll");
    assert_sees_the_host(&mut guest);
    systemctl("start plimsoll");
    assert!(Path::new(VIEW).join("proc").exists());
}

#[test]
#[ignore = "needs root, /dev/fuse, systemd and a quiet machine"]
fn a_daemon_under_systemd_can_be_replaced_only_by_systemd_and_says_so() {
    let _service = Service::start();
    let before = Service::pid();
    let replace = |options: &[&str]| {
        let mut daemon = plimsoll();
        daemon.args(["daemon", "--replace"]).args(options);
        daemon.output().unwrap()
    };
    assert_eq!(stdout_of(&replace(&["--dry-run"])), "");
    let refused = replace(&[]);
    assert_eq!(refused.status.code(), Some(125));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("systemctl restart"), "{said}");
    assert_eq!(Service::pid(), before);
    assert!(fs::read(Path::new(VIEW).join("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse, systemd and a quiet machine"]
fn a_daemon_that_is_killed_and_at_once_stopped_leaves_the_hosts_files() {
    let _service = Service::start();
    for pause in [0, 1, 5, 20, 100] {
        let mut guest = Guest::on(Path::new(VIEW));
        guest.run("true");
        kill("KILL", Service::pid());
        std::thread::sleep(Duration::from_millis(pause));
        systemctl("stop plimsoll");
        assert_sees_the_host(&mut guest);
        systemctl("reset-failed plimsoll");
        systemctl("start plimsoll");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, systemd and a quiet machine"]
fn a_daemon_that_hangs_while_it_is_stopped_leaves_the_hosts_files_and_no_reader_that_waits() {
    let _service = Service::start();
    let mut guest = Guest::on(Path::new(VIEW));
    assert_eq!(field(&guest.run("cat /proc/meminfo"), "MemTotal"), 64 << 10);
    let hung = Hung::of(Service::pid());
    systemctl("stop plimsoll");
    drop(hung);
    assert_sees_the_host(&mut guest);
}

#[test]
#[ignore = "needs root, /dev/fuse, systemd and a quiet machine"]
fn a_daemon_that_is_killed_while_it_is_stopped_leaves_the_hosts_files() {
    let _service = Service::start();
    let mut guest = Guest::on(Path::new(VIEW));
    guest.run("true");
    let pid = Service::pid();
    // The daemon gets the signal to end, but is stopped until the kill.
    let hung = Hung::of(pid);
    systemctl("stop --no-block plimsoll");
    std::thread::sleep(Duration::from_millis(500));
    kill("KILL", pid);
    systemctl("stop plimsoll");
    drop(hung);
    assert_sees_the_host(&mut guest);
}

#[test]
#[ignore = "needs root, /dev/fuse, systemd and a quiet machine"]
fn a_daemon_that_hangs_while_it_is_restarted_is_followed_by_one_that_goes_on() {
    let _service = Service::start();
    let mut guest = Guest::on(Path::new(VIEW));
    guest.run("true");
    let before = Service::pid();
    let hung = Hung::of(before);
    systemctl("restart plimsoll");
    drop(hung);
    assert_eq!(field(&guest.run("cat /proc/meminfo"), "MemTotal"), 64 << 10);
    wait_until("another daemon serves", || {
        ![0, before].contains(&Service::pid())
    });
    assert_eq!(field(&guest.run("cat <&7"), "MemTotal"), 64 << 10);
}
