//! The start and the end of a daemon, on a mount point of its own or of another one.

use crate::harness::{Daemon, kill, only_line, plimsoll};
use plimsoll::serve::daemon::lock_path;
use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

fn is_mounted(daemon: &Daemon) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(daemon.mountpoint.to_str().unwrap())
}

/// Asserts that no file for the mount point is in `/run/plimsoll`.
fn assert_nothing_is_left(mountpoint: &Path) {
    let mountpoint = fs::canonicalize(mountpoint).unwrap();
    for kind in ["lock", "pid", "socket"] {
        let path = lock_path(&mountpoint).with_extension(kind);
        assert!(!path.exists(), "{}", path.display());
    }
}

/// A daemon whose service manager is this test.
struct Managed {
    process: Child,
    mountpoint: PathBuf,
    /// The number of descriptors that the service manager got to store.
    stored: usize,
    _place: tempfile::TempDir,
}

impl Managed {
    /// Starts a daemon, and waits until it is ready.
    fn start() -> Managed {
        let place = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(place.path().join("notify")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mountpoint = place.path().join("view");
        let process = plimsoll()
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
                // With FDPOLL every request would wake systemd.
                assert!(text.contains("FDPOLL=0"), "{text}");
                stored += 1;
            } else if text.starts_with("READY=1") {
                break;
            }
        }
        // A daemon whose messages nobody receives would wait once the queue is full.
        std::thread::spawn(move || while socket.recv(&mut [0; 256]).is_ok() {});
        Managed {
            process,
            mountpoint,
            stored,
            _place: place,
        }
    }

    /// Signals the daemon, and waits for its good end.
    fn end(&mut self, signal: &str) {
        kill(signal, self.process.id());
        assert!(self.process.wait().unwrap().success());
    }

    fn is_mounted(&self) -> bool {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        mounts.contains(self.mountpoint.to_str().unwrap())
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let mut umount = Command::new("umount");
        let _ = umount.arg("-l").arg(&self.mountpoint).output();
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn systemd_gets_the_connection_and_a_ready_message_when_the_first_read_succeeds() {
    let mut daemon = Managed::start();
    let answered = fs::read(daemon.mountpoint.join("proc/meminfo"));
    daemon.end("TERM");
    // The descriptors are the state, the manifest and the connection.
    assert!(daemon.stored >= 3, "{}", daemon.stored);
    assert!(answered.is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_reload_under_systemd_leaves_the_view_to_the_next_daemon_and_a_stop_does_not() {
    for (signal, is_left) in [("HUP", true), ("TERM", false)] {
        let mut daemon = Managed::start();
        daemon.end(signal);
        assert_eq!(daemon.is_mounted(), is_left, "{signal}");
        assert_eq!(lock_path(&daemon.mountpoint).exists(), is_left, "{signal}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn sigterm_unmounts_and_ends_well() {
    let mut daemon = Daemon::start();
    daemon.signal("TERM");
    assert!(daemon.process.wait().unwrap().success());
    assert!(!is_mounted(&daemon));
    assert_nothing_is_left(&daemon.mountpoint);
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
    assert!(
        said.ends_with(": add --replace to take its place\n"),
        "{said}"
    );
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_dead_mount_of_a_killed_daemon_is_taken_over() {
    let mut daemon = Daemon::start();
    daemon.kill();
    assert!(fs::read(daemon.path("proc/meminfo")).is_err());
    let successor = Daemon::on(daemon.mountpoint.clone());
    assert!(fs::read(successor.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_directory_with_files_is_not_covered_by_a_view() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("passwd"), "root").unwrap();
    let refused = plimsoll().arg("daemon").arg(place.path()).output().unwrap();
    let line = only_line("daemon", &refused, 125, &refused.stderr);
    assert!(line.contains("holds files, such as passwd"), "{line}");
    assert_eq!(fs::read(place.path().join("passwd")).unwrap(), b"root");
    assert_nothing_is_left(place.path());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn run_and_daemon_say_in_the_same_words_what_the_machine_lacks() {
    let program = plimsoll();
    let program = program.get_program().to_str().unwrap();
    for (lack, said) in [
        (
            "mount -t tmpfs none /dev",
            "cannot open /dev/fuse (load it with: modprobe fuse): ",
        ),
        (
            "mount -t tmpfs none /sys/fs/cgroup",
            "no cgroup file system is mounted: mount -t cgroup2 none /sys/fs/cgroup",
        ),
    ] {
        for command in [
            "run -m 64M -- true",
            "daemon --no-keeper /run/plimsoll-lack",
        ] {
            let script = format!("{lack} && exec {program} {command}");
            let mut unshare = Command::new("unshare");
            let refused = unshare.args(["-m", "sh", "-c", &script]).output().unwrap();
            let line = only_line(command, &refused, 125, &refused.stderr);
            assert!(line.contains(said), "{line}");
        }
    }
    let _ = fs::remove_dir("/run/plimsoll-lack");
}

#[test]
#[ignore = "needs root, /dev/fuse and setpriv"]
fn each_command_of_another_user_is_refused_with_the_same_words() {
    let program = plimsoll();
    let program = program.get_program().to_str().unwrap();
    for words in [
        &["daemon"][..],
        &["run", "--", "true"],
        &["attach", "--all"],
        &["detach", "--all"],
        &["uninstall", "--all"],
    ] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
        let refused = command.args(words).output().unwrap();
        let line = only_line(words[0], &refused, 125, &refused.stderr);
        assert!(
            line.ends_with(" needs root: run plimsoll with sudo\n"),
            "{line}"
        );
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_mount_point_of_another_file_system_is_left_alone() {
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
    assert_nothing_is_left(place.path());
    assert_eq!(refused.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("type tmpfs is mounted there"));
}
