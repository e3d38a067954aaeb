//! One daemon takes another's place: what is handed over, and what becomes of it when either dies.

use super::harm;
use crate::harness::{Daemon, kill, plimsoll, printed, wait_until};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept, bind, connect, listen, socket,
    },
};
use plimsoll::{
    handover::{Held, KEEPER, Message, ROSTER},
    sys::fd,
};
use std::{
    fs::{self, File},
    io::Write,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    thread,
    time::Duration,
};

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_successor_that_goes_away_before_it_serves_leaves_the_daemon_serving() {
    let daemon = Daemon::start();
    let (socket, _) = asked(&daemon.mountpoint);
    fd::send(&socket, b"ready", &[]).unwrap();
    // All its workers stand still now, and go on when we are gone.
    let (drained, _) = fd::receive(&socket).unwrap();
    assert_eq!(drained, b"drained");
    drop(socket);
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn whether_a_daemon_could_be_replaced_is_found_out_without_disturbing_it() {
    let daemon = Daemon::start();
    let serving = daemon.serving();
    let kept = File::open(daemon.path("proc/meminfo")).unwrap();
    let asked = || {
        plimsoll()
            .args(["daemon", "--replace", "--dry-run"])
            .arg(&daemon.mountpoint)
            .output()
            .unwrap()
    };
    assert_eq!(printed(&asked()), "");
    assert_eq!(daemon.serving(), serving);
    assert!(std::io::read_to_string(kept).unwrap().contains("MemTotal"));
    harm::spoil(&daemon);
    let refused = asked();
    assert_eq!(refused.status.code(), Some(125));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("no state of this program"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn what_is_handed_over_in_a_version_that_is_not_known_is_refused_in_one_line() {
    let said = refusal("{\"version\":\"9\",\"news\":[]}");
    assert!(said.contains("version 9"), "{said}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn what_is_handed_over_and_is_corrupt_is_refused_in_one_line() {
    let said = refusal("{\"version\":\"1\",\"mountp");
    assert!(said.contains("corrupt"), "{said}");
}

/// What a daemon says that is to replace one whose roster is that.
fn refusal(roster: &'static str) -> String {
    let place = tempfile::tempdir().unwrap();
    let mountpoint = fs::canonicalize(place.path()).unwrap();
    let door = door(&mountpoint);
    fs::create_dir_all("/run/plimsoll").unwrap();
    let (kind, flags) = (SockType::SeqPacket, SockFlag::empty());
    let family = AddressFamily::Unix;
    let listener = socket(family, kind, flags, None).unwrap();
    let address = UnixAddr::new(door.as_str()).unwrap();
    bind(listener.as_raw_fd(), &address).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let later = std::thread::spawn(move || {
        let socket = accept(listener.as_raw_fd()).unwrap();
        let socket = fd::inherited(socket).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(roster.as_bytes()).unwrap();
        let held = Held::new([(ROSTER.to_owned(), File::into(file))]);
        held.send(&socket).unwrap();
        // It must say nothing more: the daemon that it asked goes on.
        fd::receive(&socket).unwrap().0
    });
    let refused = plimsoll()
        .args(["daemon", "--replace"])
        .arg(&mountpoint)
        .output()
        .unwrap();
    fs::remove_file(door).unwrap();
    assert_eq!(later.join().unwrap(), b"");
    assert_eq!(refused.status.code(), Some(125));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_daemon_that_was_killed_is_replaced_as_soon_as_its_keeper_has_another_one_serve() {
    let mut daemon = Daemon::start();
    let (keeper, serving) = (daemon.process.id(), daemon.serving());
    kill("STOP", keeper);
    kill("KILL", serving);
    let mut successor = plimsoll()
        .args(["daemon", "--replace"])
        .arg(&daemon.mountpoint)
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(successor.try_wait().unwrap(), None);
    kill("CONT", keeper);
    assert!(daemon.process.wait().unwrap().success());
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
    daemon.process = successor;
    assert_ne!(daemon.serving(), serving);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn who_would_replace_a_daemon_that_was_killed_meanwhile_is_told_that_another_one_serves() {
    let daemon = Daemon::start();
    let (socket, keeper) = drained(&daemon);
    let serving = daemon.serving();
    kill("KILL", serving);
    wait_until("another one serves", || daemon.serving() != serving);
    assert_eq!(fd::send(&socket, b"serving", &[]), Err(Errno::EPIPE));
    assert_eq!(fd::send(&keeper, b"leaving", &[]), Err(Errno::EPIPE));
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn nobody_takes_the_place_of_a_daemon_that_is_killed_when_its_successor_serves() {
    let mut daemon = Daemon::start();
    let (_socket, keeper) = drained(&daemon);
    fd::send(&keeper, b"leaving", &[]).unwrap();
    kill("KILL", daemon.serving());
    daemon.process.wait().unwrap();
}

/// The daemon as one that wants to replace it has it: all its workers stand still. With where it
/// speaks to its keeper.
fn drained(daemon: &Daemon) -> (OwnedFd, OwnedFd) {
    let (socket, mut held) = asked(&daemon.mountpoint);
    fd::send(&socket, b"ready", &[]).unwrap();
    assert_eq!(fd::receive(&socket).unwrap().0, b"drained");
    (socket, held.take(KEEPER).unwrap())
}

/// Asks the daemon that serves there for what it hands over.
pub(super) fn asked(mountpoint: &Path) -> (OwnedFd, Held) {
    let family = AddressFamily::Unix;
    let socket = socket(family, SockType::SeqPacket, SockFlag::empty(), None).unwrap();
    let address = UnixAddr::new(door(mountpoint).as_str()).unwrap();
    wait_until("its door is open", || {
        connect(socket.as_raw_fd(), &address).is_ok()
    });
    let Some((Message::Hold(_), held)) = Held::receive(&socket).unwrap() else {
        panic!("it hands over nothing");
    };
    (socket, held)
}

/// Where successors ask the daemon on that mount point.
fn door(mountpoint: &Path) -> String {
    let name = mountpoint.to_str().unwrap();
    let name = name.replace('-', "\\x2d").replace('/', "-");
    format!("/run/plimsoll/daemon{name}.socket")
}
