//! The handover from a daemon to its successor, and the death of either in the middle.

use super::{harm, keepers};
use crate::harness::{Daemon, children, kill, plimsoll, stdout_of, stop, wait_until};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr, bind, connect, listen,
        shutdown, socket,
    },
};
use plimsoll::{
    base::sys::{fd, packet},
    serve::{
        daemon::lock_path,
        handover::{Channel, Descriptors, Manifest, Name, Received},
    },
};
use std::{
    fs::{self, File},
    io::Write,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
};

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_that_goes_away_before_it_serves_leaves_the_daemon_serving() {
    let daemon = Daemon::start();
    // The workers of the drained daemon stand still until the connection closes.
    drop(drain(&daemon));
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_dry_run_of_a_replacement_does_not_disturb_the_daemon() {
    let daemon = Daemon::start();
    let serving = daemon.pid();
    let kept = File::open(daemon.path("proc/meminfo")).unwrap();
    let asked = || {
        plimsoll()
            .args(["daemon", "--replace", "--dry-run"])
            .arg(&daemon.mountpoint)
            .output()
            .unwrap()
    };
    assert_eq!(stdout_of(&asked()), "");
    assert_eq!(daemon.pid(), serving);
    assert!(std::io::read_to_string(kept).unwrap().contains("MemTotal"));
    harm::corrupt_state(&daemon);
    let refused = asked();
    assert_eq!(refused.status.code(), Some(125));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("no state of this program"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_manifest_of_an_unknown_version_is_refused_in_one_line() {
    let said = refusal("{\"version\":\"9\",\"news\":[]}");
    assert!(said.contains("version 9"), "{said}");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_corrupt_manifest_is_refused_in_one_line() {
    let said = refusal("{\"version\":\"1\",\"mountp");
    assert!(said.contains("corrupt"), "{said}");
}

/// Returns the line with which `daemon --replace` refuses a predecessor with that manifest.
fn refusal(manifest: &'static str) -> String {
    let place = tempfile::tempdir().unwrap();
    let mountpoint = fs::canonicalize(place.path()).unwrap();
    let listener = listen_as_daemon(&mountpoint);
    let predecessor = thread::spawn(move || {
        let socket = accept(&listener);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(manifest.as_bytes()).unwrap();
        let held = Descriptors::new([(Name::Manifest, File::into(file))]);
        let channel = Channel::from(socket);
        channel.send_descriptors(&held).unwrap();
        // The successor must send nothing more, so that the predecessor goes on.
        packet::receive(&channel).unwrap().0
    });
    let refused = plimsoll()
        .args(["daemon", "--replace"])
        .arg(&mountpoint)
        .output()
        .unwrap();
    fs::remove_file(socket_path(&mountpoint)).unwrap();
    assert_eq!(predecessor.join().unwrap(), b"");
    assert_eq!(refused.status.code(), Some(125));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_killed_daemon_is_replaced_as_soon_as_its_keeper_has_started_another_one() {
    let mut daemon = Daemon::start();
    let keeper = daemon.process.id();
    stop(keeper);
    kill("KILL", daemon.pid());
    fs::remove_file(socket_path(&daemon.mountpoint)).unwrap();
    let listener = listen_as_daemon(&daemon.mountpoint);
    let _successor = Successor::of(&daemon.mountpoint);
    // The successor first finds a daemon that is dying, and then none.
    drop(accept(&listener));
    drop(listener);
    kill("CONT", keeper);
    assert_eq!(status_of(&mut daemon.process), Some(0));
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_of_a_daemon_that_is_killed_meanwhile_learns_that_another_one_serves() {
    let daemon = Daemon::start();
    let (socket, mut held) = drain(&daemon);
    let keeper = held.take(&Name::Keeper).unwrap();
    let (killed, keeper_pid) = (daemon.pid(), daemon.process.id());
    kill("KILL", killed);
    wait_until("another daemon serves", || {
        ![killed, keeper_pid].contains(&daemon.pid())
    });
    assert_eq!(packet::send(&socket, b"serving", &[]), Err(Errno::EPIPE));
    assert_eq!(packet::send(&keeper, b"leaving", &[]), Err(Errno::EPIPE));
    assert_eq!(packet::receive(&keeper).unwrap().0, b"staying");
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_daemon_that_is_killed_when_its_successor_serves_has_no_other_successor() {
    let mut daemon = Daemon::start();
    let (_socket, mut held) = drain(&daemon);
    let keeper = held.take(&Name::Keeper).unwrap();
    packet::send(&keeper, b"leaving", &[]).unwrap();
    kill("KILL", daemon.pid());
    assert!(status_of(&mut daemon.process).is_some());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_daemon_whose_successor_times_out_serves_on_and_says_so() {
    let daemon = Daemon::start();
    let (socket, _held) = drain(&daemon);
    // The timeout is ten seconds.
    assert_eq!(packet::receive(&socket).unwrap().0, b"staying");
    assert_eq!(packet::send(&socket, b"serving", &[]), Err(Errno::EPIPE));
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_that_is_too_late_for_a_daemon_without_terms_does_not_serve() {
    for (is_followed, why) in [(false, "has waited for too long"), (true, "has died")] {
        let mut between = Asked::with(without_term).drained();
        let stays = match is_followed {
            true => &between.keeper,
            false => &between.socket,
        };
        shutdown(stays.as_raw_fd(), Shutdown::Read).unwrap();
        between.say_drained();
        packet::send(stays, b"staying", &[]).unwrap();
        assert_eq!(status_of(&mut between.successor.0), Some(125));
        let said = std::io::read_to_string(between.successor.0.stderr.take().unwrap()).unwrap();
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_does_not_serve_beside_a_daemon_that_serves_on() {
    let mut between = Between::new();
    let serving = between.daemon.pid();
    drop(between.drained);
    assert!(fs::read(between.daemon.path("proc/meminfo")).is_ok());
    packet::send(&between.socket, b"drained", &[]).unwrap();
    assert_eq!(status_of(&mut between.successor.0), Some(125));
    let said = std::io::read_to_string(between.successor.0.stderr.take().unwrap()).unwrap();
    assert!(said.contains("another daemon serves on"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(between.daemon.pid(), serving);
    assert!(fs::read(between.daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_daemon_that_gets_no_message_of_a_successor_that_serves_ends() {
    let mut between = Between::new();
    between.say_drained();
    // The successor's messages do not reach the daemon.
    assert_eq!(packet::receive(&between.socket).unwrap().0, b"serving");
    assert_eq!(packet::receive(&between.keeper).unwrap().0, b"leaving");
    drop(between.drained);
    assert_eq!(status_of(&mut between.daemon.process), Some(0));
    assert!(fs::read(between.daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_answers_readers_though_daemon_and_keeper_die_before_they_are_ready() {
    let Asked {
        mut successor,
        socket,
        keeper,
        daemon,
        ..
    } = Asked::with(|_| {});
    // The keeper can start no other daemon, nor the daemon another keeper.
    stop(daemon.process.id());
    kill("KILL", daemon.pid());
    kill("KILL", daemon.process.id());
    drop((socket, keeper));
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
    assert_eq!(successor.0.try_wait().unwrap(), None);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_serves_though_daemon_and_keeper_have_died_meanwhile() {
    let mut between = Between::new();
    between.end_daemon();
    shutdown(between.socket.as_raw_fd(), Shutdown::Read).unwrap();
    between.say_drained();
    drop((between.socket, between.keeper));
    assert!(fs::read(between.daemon.path("proc/meminfo")).is_ok());
    assert_eq!(between.successor.0.try_wait().unwrap(), None);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_that_dies_before_it_serves_is_followed_by_one_that_tells_the_daemon_again() {
    let mut between = Asked::with(without_term).drained();
    between.end_daemon();
    let first = between.successor_that_waits();
    kill("KILL", first);
    assert_eq!(packet::receive(&between.socket).unwrap().0, b"serving");
    let all = children(between.successor.0.id());
    assert!(all.iter().any(|pid| *pid != first), "{all:?}");
    drop(between.keeper);
    assert!(fs::read(between.daemon.path("proc/meminfo")).is_ok());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_successor_whose_keeper_dies_before_it_serves_gets_another_one() {
    let mut between = Between::new();
    between.end_daemon();
    let serving = between.successor_that_waits();
    kill("KILL", between.successor.0.id());
    drop(between.keeper);
    assert!(fs::read(between.daemon.path("proc/meminfo")).is_ok());
    wait_until("another keeper runs", || !keepers(serving).is_empty());
    let keeper = keepers(serving)[0];
    kill("KILL", serving);
    wait_until("another daemon runs", || !children(keeper).is_empty());
    let last = children(keeper)[0];
    assert!(fs::read(between.daemon.path("proc/meminfo")).is_ok());
    kill("TERM", keeper);
    wait_until("the daemon ends", || {
        !Path::new(&format!("/proc/{last}")).exists()
    });
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_daemon_that_dies_while_it_comes_to_rest_is_replaced_when_the_next_one_serves() {
    let Between {
        successor: _successor,
        socket,
        drained,
        mut daemon,
        ..
    } = Between::new();
    drop(drained);
    fs::rename(aside(&daemon.mountpoint), socket_path(&daemon.mountpoint)).unwrap();
    drop(socket);
    assert_eq!(status_of(&mut daemon.process), Some(0));
    assert!(fs::read(daemon.path("proc/meminfo")).is_ok());
}

/// A `daemon --replace`. Ended when dropped.
struct Successor(Child);

impl Successor {
    fn of(mountpoint: &Path) -> Successor {
        let mut daemon = plimsoll();
        daemon.args(["daemon", "--replace"]).arg(mountpoint);
        daemon.stderr(Stdio::piped());
        Successor(daemon.spawn().unwrap())
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            kill("TERM", self.0.id());
        }
        let _ = self.0.wait();
        // The log helps to find the reason of a failed test.
        if let Some(said) = self.0.stderr.take() {
            let said = std::io::read_to_string(said).unwrap_or_default();
            let _ = std::io::stderr().write_all(said.as_bytes());
        }
    }
}

/// A drained daemon and a ready successor. Towards the successor this process plays the daemon and its keeper.
struct Between {
    successor: Successor,
    /// The socket on which the successor speaks to the daemon.
    socket: OwnedFd,
    /// The socket on which the successor speaks to the daemon's keeper.
    keeper: OwnedFd,
    /// The socket on which the daemon waits for its successor.
    drained: OwnedFd,
    daemon: Daemon,
}

/// A successor that has asked this process, in the place of a daemon, and is ready.
struct Asked {
    successor: Successor,
    socket: OwnedFd,
    keeper: OwnedFd,
    /// The path of the socket of the daemon.
    aside: PathBuf,
    daemon: Daemon,
}

impl Asked {
    /// Starts a daemon and a successor. `change` is made to the descriptors of the daemon, before the
    /// successor gets them.
    fn with(change: impl Fn(&mut Descriptors)) -> Asked {
        let daemon = Daemon::start();
        let (visit, mut held) = ask(&daemon.mountpoint);
        held.take(&Name::Keeper).unwrap();
        drop(visit);
        change(&mut held);
        let aside = aside(&daemon.mountpoint);
        fs::rename(socket_path(&daemon.mountpoint), &aside).unwrap();
        let listener = listen_as_daemon(&daemon.mountpoint);
        let successor = Successor::of(&daemon.mountpoint);
        let channel = Channel::from(accept(&listener));
        let (keeper, theirs) = fd::pair().unwrap();
        channel
            .send_descriptors_with(&held, Some((&Name::Keeper, theirs.as_fd())))
            .unwrap();
        let socket = OwnedFd::from(channel);
        assert_eq!(packet::receive(&socket).unwrap().0, b"ready");
        Asked {
            successor,
            socket,
            keeper,
            aside,
            daemon,
        }
    }

    fn drained(self) -> Between {
        let (drained, _) = drain_at(&self.aside);
        Between {
            successor: self.successor,
            socket: self.socket,
            keeper: self.keeper,
            drained,
            daemon: self.daemon,
        }
    }
}

/// Puts the manifest of a daemon without terms in the place of the manifest.
fn without_term(held: &mut Descriptors) {
    let Manifest::V1 {
        mountpoint,
        connections,
        ..
    } = held.manifest().unwrap();
    held.take(&Name::Manifest).unwrap();
    held.add_manifest(&Manifest::V1 {
        mountpoint,
        connections,
        term: None,
    })
    .unwrap();
}

impl Between {
    fn new() -> Between {
        Asked::with(|_| {}).drained()
    }

    /// Lets the successor tell the daemon that it serves, and wait for the keeper. Returns the pid of the
    /// successor.
    fn successor_that_waits(&self) -> u32 {
        shutdown(self.keeper.as_raw_fd(), Shutdown::Read).unwrap();
        self.say_drained();
        assert_eq!(packet::receive(&self.socket).unwrap().0, b"serving");
        children(self.successor.0.id())[0]
    }

    /// Tells the successor that the daemon is drained.
    fn say_drained(&self) {
        packet::send(&self.socket, b"drained", &[]).unwrap();
    }

    /// Ends the daemon. Its mounts stay.
    fn end_daemon(&mut self) {
        packet::send(&self.drained, b"serving", &[]).unwrap();
        shutdown(self.drained.as_raw_fd(), Shutdown::Both).unwrap();
        assert!(status_of(&mut self.daemon.process).is_some());
    }
}

/// Waits for the end of a process. Returns its exit status, or none if it was killed.
fn status_of(process: &mut Child) -> Option<i32> {
    let mut ended = None;
    wait_until("the process ends", || {
        ended = process.try_wait().unwrap();
        ended.is_some()
    });
    ended.unwrap().code()
}

/// Drains a daemon as a successor does: all its workers stand still.
fn drain(daemon: &Daemon) -> (OwnedFd, Descriptors) {
    drain_at(&socket_path(&daemon.mountpoint))
}

fn drain_at(socket: &Path) -> (OwnedFd, Descriptors) {
    let (socket, held) = ask_at(socket);
    packet::send(&socket, b"ready", &[]).unwrap();
    assert_eq!(packet::receive(&socket).unwrap().0, b"drained");
    (socket, held)
}

/// Listens where a successor looks for the daemon of that mount point.
fn listen_as_daemon(mountpoint: &Path) -> OwnedFd {
    fs::create_dir_all("/run/plimsoll").unwrap();
    let (family, flags) = (AddressFamily::Unix, SockFlag::SOCK_CLOEXEC);
    let listener = socket(family, SockType::SeqPacket, flags, None).unwrap();
    let address = UnixAddr::new(&socket_path(mountpoint)).unwrap();
    bind(listener.as_raw_fd(), &address).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    listener
}

fn accept(listener: &OwnedFd) -> OwnedFd {
    fd::accept(listener).unwrap()
}

/// Asks the daemon of that mount point for its handover, as a successor does.
pub(super) fn ask(mountpoint: &Path) -> (OwnedFd, Descriptors) {
    ask_at(&socket_path(mountpoint))
}

fn ask_at(path: &Path) -> (OwnedFd, Descriptors) {
    let family = AddressFamily::Unix;
    let socket = socket(family, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let address = UnixAddr::new(path).unwrap();
    wait_until("the daemon listens", || {
        connect(socket.as_raw_fd(), &address).is_ok()
    });
    let mut channel = Channel::from(socket);
    let Some(Received::Descriptors(held)) = channel.recv().unwrap() else {
        panic!("the daemon hands over nothing");
    };
    (channel.into(), held)
}

/// Returns the path to which a test moves the socket of the daemon, to take its place.
fn aside(mountpoint: &Path) -> PathBuf {
    socket_path(mountpoint).with_extension("aside.socket")
}

/// Returns the path of the socket on which successors ask the daemon of that mount point.
fn socket_path(mountpoint: &Path) -> PathBuf {
    lock_path(mountpoint).with_extension("socket")
}
