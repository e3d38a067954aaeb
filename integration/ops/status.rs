//! `plimsoll status`: the answer and the exit status for each state of a daemon.

use crate::harness::{Daemon, kill, plimsoll, stop, wait_until};
use serde_json::Value;
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// The maximum time of an answer, on an emulated machine too.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the exit status, the first line for people, and the object for programs.
fn status(mountpoint: &Path) -> (i32, String, Value) {
    let status = |words: &[&str]| {
        let begun = Instant::now();
        let mut status = plimsoll();
        let output = status.arg("status").arg(mountpoint).args(words).output();
        let output = output.unwrap();
        assert!(begun.elapsed() < ANSWER_TIMEOUT, "{:?}", begun.elapsed());
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = status(&[]);
    let (of_json, json) = status(&["-o", "json"]);
    let (of_quiet, nothing) = status(&["--quiet"]);
    assert_eq!((of_json, of_quiet, nothing.as_str()), (code, code, ""));
    let first = text.lines().next().unwrap().to_owned();
    (code, first, serde_json::from_str(&json).unwrap())
}

#[test]
fn a_mount_point_without_a_daemon_has_an_answer_and_a_status_of_its_own() {
    let place = tempfile::tempdir().unwrap();
    let (code, said, json) = status(place.path());
    assert_eq!(code, 3);
    assert!(said.contains("no daemon serves"), "{said}");
    assert_eq!(json["state"], "absent");
    assert_eq!(json["pid"], Value::Null);
    assert_eq!(json["program_version"], env!("CARGO_PKG_VERSION"));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn status_tells_a_daemon_that_serves_from_one_that_hangs_and_one_that_died() {
    // The keeper ends a daemon that hangs longer.
    let mut daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "60"]);
    let at = daemon.mountpoint.clone();
    let (code, said, json) = status(&at);
    assert_eq!(code, 0);
    assert!(
        said.starts_with("ok       daemon      the daemon serves"),
        "{said}"
    );
    assert_eq!(json["state"], "serves");
    assert_eq!(json["pid"], daemon.pid());
    assert_eq!(json["supervisor"], "keeper");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(json["seconds"].as_u64().unwrap() < 1000, "{json}");
    assert!(json["since"].as_str().unwrap().ends_with('Z'), "{json}");
    assert_eq!(json["containers"]["served"], 0);
    assert_eq!(json["restarts"], Value::Null);

    stop(daemon.pid());
    let (code, said, json) = status(&at);
    assert_eq!((code, &json["state"]), (2, &"hangs".into()), "{said}");
    assert!(said.contains("the daemon hangs"), "{said}");

    daemon.kill();
    let (code, said, json) = status(&at);
    assert_eq!((code, &json["state"]), (1, &"dead".into()), "{said}");
    assert!(said.contains("the daemon is dead"), "{said}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn status_tells_that_the_daemon_was_started_in_the_place_of_one_that_died() {
    let daemon = Daemon::start();
    // A daemon that ends at once could be the first one.
    std::thread::sleep(Duration::from_secs(3));
    let first = daemon.pid();
    kill("KILL", first);
    wait_until("the next daemon serves", || {
        let (code, _, json) = status(&daemon.mountpoint);
        code == 0 && json["pid"] != first
    });
    let (_, _, json) = status(&daemon.mountpoint);
    assert_eq!(json["restarts"]["last"], json["since"]);
    assert!(json["restarts"]["last"].is_string(), "{json}");
}

#[test]
#[ignore = "needs root"]
fn another_file_system_at_the_mount_point_is_named() {
    let place = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "other"])
        .arg(place.path())
        .status();
    assert!(mount.unwrap().success());
    let (code, said, json) = status(place.path());
    let _ = Command::new("umount").arg(place.path()).status();
    assert_eq!((code, &json["state"]), (4, &"foreign".into()));
    assert!(said.contains("a file system of type tmpfs"), "{said}");
}
