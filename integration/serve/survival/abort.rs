//! A connection that the kernel ends (by an administrator, or by a request timeout), or a view that somebody
//! unmounts: the daemon mounts anew, and each container has its files again.

use super::{Guest, stop_threads};
use crate::harness::{Daemon, field, unique, wait_until};
use plimsoll::base::mountinfo;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The memory of a guest in KiB.
const MEMORY_KIB: u64 = 64 << 10;
const REQUEST_TIMEOUT: &str = "/proc/sys/fs/fuse/max_request_timeout";

/// The file system that controls connections, mounted for one test.
struct Connections(PathBuf);

impl Connections {
    fn mount() -> Connections {
        let directory = std::env::temp_dir().join(unique("connections"));
        fs::create_dir(&directory).unwrap();
        run("mount -t fusectl fusectl", &directory);
        Connections(directory)
    }

    /// Ends the connection that is mounted at a path.
    fn abort(&self, point: &Path) {
        let mounts = mountinfo::own().unwrap();
        let mount = mounts.iter().rfind(|mount| mount.point == point).unwrap();
        let minor = mount.device.split(':').nth(1).unwrap();
        fs::write(self.0.join(minor).join("abort"), "1").unwrap();
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        run("umount", &self.0);
        let _ = fs::remove_dir(&self.0);
    }
}

/// Runs these words with the path as the last one. Returns whether the program succeeded.
fn run(words: &str, path: &Path) -> bool {
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg(path)
        .output()
        .unwrap()
        .status
        .success()
}

/// Starts a guest with one file of each connection.
fn guest_of(daemon: &Daemon) -> Guest {
    let mut guest = Guest::of(daemon);
    let view = daemon.mountpoint.display();
    let cached = format!("{view}/containers/self/proc/uptime");
    let said = guest.run(&format!(
        "mount --bind $(readlink -f {cached}) /proc/uptime && cat /proc/uptime"
    ));
    assert_eq!(said.split_whitespace().count(), 2, "{said}");
    guest
}

/// Returns whether another daemon than `before` serves both connections.
fn is_replaced(daemon: &Daemon, before: u32) -> bool {
    daemon.pid() != before
        && fs::read(daemon.path("proc/meminfo")).is_ok()
        && fs::read_dir(daemon.path("containers")).is_ok()
}

/// Waits until another daemon than `before` serves, at its mount points and in the guest.
fn wait_for_repair(daemon: &Daemon, before: u32, guest: &mut Guest) {
    wait_until("another daemon serves", || is_replaced(daemon, before));
    wait_until("the container is repaired", || {
        let seen =
            guest.run("cat /proc/meminfo /proc/stat && cat /proc/uptime > /dev/null && echo all");
        seen.ends_with("all\n")
    });
    assert_eq!(
        field(&guest.run("cat /proc/meminfo"), "MemTotal"),
        MEMORY_KIB
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_connection_that_is_aborted_is_mounted_anew_and_containers_have_their_files_again() {
    let connections = Connections::mount();
    for aborted in [&["", "containers"][..], &[""], &["containers"]] {
        let daemon = Daemon::start();
        let mut guest = guest_of(&daemon);
        let before = daemon.pid();
        for side in aborted {
            connections.abort(
                &daemon
                    .mountpoint
                    .join(side)
                    .components()
                    .collect::<PathBuf>(),
            );
        }
        wait_for_repair(&daemon, before, &mut guest);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_view_that_somebody_unmounts_comes_back_by_itself() {
    for (words, point) in [
        ("umount -f", ""),
        ("umount -l", ""),
        ("umount -R", ""),
        ("umount", "containers"),
    ] {
        let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "2"]);
        let before = daemon.pid();
        let mut guest = guest_of(&daemon);
        let point: PathBuf = daemon.mountpoint.join(point).components().collect();
        run(words, &point);
        wait_for_repair(&daemon, before, &mut guest);
        // Without a container the unmount ends the connection itself.
        drop(guest);
        let before = daemon.pid();
        run(words, &point);
        wait_until("another daemon serves", || is_replaced(&daemon, before));
        let mut guest = Guest::of(&daemon);
        wait_for_repair(&daemon, before, &mut guest);
    }
}

/// The kernel's request timeout, as it was. Set again on drop.
struct RequestTimeout(String);

impl RequestTimeout {
    fn set(seconds: u32) -> RequestTimeout {
        let before = fs::read_to_string(REQUEST_TIMEOUT).unwrap();
        fs::write(REQUEST_TIMEOUT, seconds.to_string()).unwrap();
        RequestTimeout(before)
    }
}

impl Drop for RequestTimeout {
    fn drop(&mut self) {
        fs::write(REQUEST_TIMEOUT, &self.0).unwrap();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and /proc/sys/fs/fuse/max_request_timeout"]
fn a_daemon_that_hangs_beyond_the_kernels_request_timeout_is_followed_by_one_that_mounts_anew() {
    let timeout = RequestTimeout::set(1);
    // The kernel looks for late requests every 15 s; the watchdog acts later than that.
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "60"]);
    drop(timeout);
    let mut guest = guest_of(&daemon);
    let before = daemon.pid();
    let begun = std::time::Instant::now();
    stop_threads(before, "");
    let said = guest.run("cat /proc/meminfo");
    let is_ended = ["not connected", "connection abort", "timed out"];
    assert!(is_ended.iter().any(|one| said.contains(one)), "{said}");
    wait_for_repair(&daemon, before, &mut guest);
    assert!(begun.elapsed().as_secs() < 55);
}
