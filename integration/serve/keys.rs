//! The directories `containers/KEY` and `.direct/KEY`: whoever stands in the cgroup finds them, and so does
//! the host. To others they do not exist.

use crate::harness::{Cgroup, Daemon, field, python, stdout_of};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const MIB: u64 = 1 << 20;

/// A daemon, and two containers that have read their files.
struct World {
    daemon: Daemon,
    own: Cgroup,
    other: Cgroup,
}

impl World {
    fn new() -> World {
        let (daemon, own, other) = (Daemon::start(), Cgroup::new(), Cgroup::new());
        own.limit_memory(48 * MIB);
        other.limit_memory(96 * MIB);
        let world = World { daemon, own, other };
        for cgroup in [&world.own, &world.other] {
            for tree in ["containers", ".direct"] {
                fs::read(world.file(tree, cgroup)).unwrap();
            }
        }
        world
    }

    /// Returns the path of a container's file on the host.
    fn file(&self, tree: &str, cgroup: &Cgroup) -> String {
        let path = self
            .daemon
            .path(&format!("{tree}/{}/proc/meminfo", cgroup.key()));
        path.display().to_string()
    }

    /// Asserts that a process in `own` finds its own files below `containers` and not those of `other`.
    /// `prepare` are lines of a shell script.
    #[track_caller]
    fn assert_finds_its_own_alone(&self, prepare: &str, containers: &str) {
        let script = format!(
            "{prepare}\ncat {containers}/{}/proc/meminfo\nls -d {containers}/{key} 2>&1 || true\n\
             cat {containers}/{key}/proc/meminfo 2>&1 || true; ls {containers}",
            self.own.key(),
            key = self.other.key(),
        );
        let text = self.own.stdout(&self.daemon, &script);
        assert_eq!(field(&text, "MemTotal"), 48 << 10);
        assert_eq!(text.matches("MemTotal").count(), 1, "{text}");
        assert_eq!(text.matches("No such file").count(), 2, "{text}");
        let listed: Vec<&str> = text.lines().collect();
        let is_listed = |cgroup: &Cgroup| listed.contains(&cgroup.key().to_string().as_str());
        assert!(is_listed(&self.own) && !is_listed(&self.other), "{text}");
    }
}

/// Returns whether a command printed a total of memory; if not, that was for want of the file.
#[track_caller]
fn has_found(output: &Output) -> bool {
    let error = String::from_utf8_lossy(&output.stderr);
    let is_absent = error.contains("No such file");
    assert!(output.status.success() != is_absent, "{error}");
    output.status.success()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_with_the_directory_of_the_containers_finds_its_own_alone() {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let containers = world.daemon.path("containers");
    let bind = format!("mount --bind {} {place}", containers.display());
    world.assert_finds_its_own_alone(&bind, place);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_with_the_whole_view_finds_its_own_directory_alone() {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let bind = format!(
        "mount --rbind {} {place}",
        world.daemon.mountpoint.display()
    );
    world.assert_finds_its_own_alone(&bind, &format!("{place}/containers"));
    let script = format!(
        "{bind}\ncat {place}/.direct/{}/proc/meminfo; cat {place}/.direct/{}/proc/meminfo 2>&1 || true",
        world.own.key(),
        world.other.key()
    );
    let text = world.own.stdout(&world.daemon, &script);
    assert_eq!(text.matches("MemTotal").count(), 1, "{text}");
    assert!(text.contains("No such file"), "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_name_that_one_caller_finds_is_shown_to_no_other_and_a_mounted_file_stays() {
    let world = World::new();
    let other = world.other.key();
    let view = world.daemon.mountpoint.display();
    let mounted = tempfile::NamedTempFile::new().unwrap();
    let mounted = mounted.path().display();
    let asks = |tree: &str| format!("stat {view}/{tree}/{other} >/dev/null 2>&1 && echo found");
    let script = format!(
        "mount --bind {} {mounted}\nwhile read line; do\n{}\n{}\ncat {mounted} | head -1; echo asked\ndone",
        world.file("containers", &world.own),
        asks("containers"),
        asks(".direct"),
    );
    // `set -e` ends a shell at a failed `&&` only in the last place.
    let mut shell = world.own.shell(&world.daemon, &format!("set +e\n{script}"));
    shell
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    for _ in 0..20 {
        fs::read(world.file("containers", &world.other)).unwrap();
        fs::read(world.file(".direct", &world.other)).unwrap();
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(stdin);
    let text = stdout_of(&shell.wait_with_output().unwrap());
    assert_eq!(text.matches("found").count(), 0, "{text}");
    assert_eq!(text.matches("MemTotal").count(), 20, "{text}");
}

/// Returns a command that runs a program in the other container, with a pid and a mount namespace of its own.
fn in_own(world: &World, prepare: &str, program: &str) -> Command {
    let mut command = Command::new("sh");
    let join = world.own.join("$$");
    command.args([
        "-ec",
        &format!("{prepare}\n{join}exec unshare -pfm --kill-child --mount-proc {program}"),
    ]);
    command
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_descriptor_that_a_process_keeps_when_it_becomes_a_container_finds_its_own_alone() {
    let world = World::new();
    let keep = format!("exec 9<{}", world.daemon.path("containers").display());
    let look = |cgroup: &Cgroup| {
        let path = format!("/proc/self/fd/9/{}/proc/meminfo", cgroup.key());
        in_own(&world, &keep, &format!("cat {path}"))
            .output()
            .unwrap()
    };
    assert!(has_found(&look(&world.own)));
    assert!(!has_found(&look(&world.other)));
}

/// Passes the directory of the second argument to the command of the fourth, which is the script of
/// the third, and which gets it through a socket.
const PASS: &str = r#"
import os, socket, subprocess, sys
here, there = socket.socketpair()
fd = os.open(sys.argv[1], os.O_RDONLY)
child = subprocess.Popen(["sh", "-ec", sys.argv[2]], pass_fds=[there.fileno()], env={**os.environ, "FD": str(there.fileno())})
socket.send_fds(here, [b"x"], [fd])
sys.exit(child.wait())
"#;

const GET: &str = "import os,socket,sys;\
s=socket.socket(fileno=int(os.environ['FD']));\
d=socket.recv_fds(s,1,1)[1][0];\
print(open(os.open(sys.argv[1],os.O_RDONLY,dir_fd=d)).read())";

#[test]
#[ignore = "needs root, /dev/fuse and python3"]
fn a_descriptor_that_a_container_gets_through_a_socket_finds_its_own_alone() {
    let world = World::new();
    let containers = world.daemon.path("containers");
    let look = |cgroup: &Cgroup| {
        let get = format!("python3 -c \"{GET}\" {}/proc/meminfo", cgroup.key());
        let inside = in_own(&world, "", &get);
        let inside = inside
            .get_args()
            .last()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let inside = inside.replace('\'', "'\\''");
        let arguments = format!("- {} '{inside}'", containers.display());
        let script = python(PASS, &arguments).replace("python3 - - ", "python3 - ");
        Command::new("sh").args(["-ec", &script]).output().unwrap()
    };
    assert!(has_found(&look(&world.own)));
    assert!(!has_found(&look(&world.other)));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_and_one_that_is_nested_in_it_find_each_other_and_no_sibling() {
    let daemon = Daemon::start();
    let outer = Cgroup::new();
    // On cgroup v2 no process is in a cgroup that has controllers for those below.
    let (init, inner, sibling) = (
        outer.child("init.scope"),
        outer.child("inner"),
        outer.child("sibling"),
    );
    outer.limit_memory(96 * MIB);
    inner.limit_memory(32 * MIB);
    let path = |cgroup: &Cgroup| {
        let path = daemon.path(&format!("containers/{}/proc/meminfo", cgroup.key()));
        format!("cat {} 2>/dev/null || echo none", path.display())
    };
    let join = inner.join("$$").replace('$', "\\$");
    let nested = |cgroup| {
        format!(
            "sh -c \"{join}exec unshare --pid --fork sh -c '{}'\"",
            path(cgroup)
        )
    };
    let script = format!(
        "{}; {}\n{}\n{}",
        path(&inner),
        path(&sibling),
        nested(&outer),
        nested(&sibling)
    );
    let text = init.stdout(&daemon, &script);
    drop((init, inner, sibling));
    let totals = text
        .lines()
        .filter(|line| line.starts_with("MemTotal") || *line == "none");
    let totals: Vec<u64> = totals
        .map(|line| {
            if line == "none" {
                0
            } else {
                field(line, "MemTotal")
            }
        })
        .collect();
    assert_eq!(totals, [32 << 10, 96 << 10, 96 << 10, 0]);
}

#[test]
#[ignore = "needs root, /dev/fuse and setpriv"]
fn an_engine_in_a_mount_namespace_of_its_own_finds_containers_and_one_of_its_containers_does_not() {
    let world = World::new();
    let look = |cgroup: Option<&Cgroup>, enter: &str| {
        let join = cgroup.map_or(String::new(), |cgroup| cgroup.join("$$"));
        let path = world.file("containers", &world.other);
        let script = format!("{join}exec {enter} cat {path}");
        has_found(&Command::new("sh").args(["-ec", &script]).output().unwrap())
    };
    // Apart from `own`: on cgroup v2 no process may be in a cgroup that has controllers for those below.
    let above = Cgroup::new();
    let container = above.child(&format!("libpod-{}.scope", "a1".repeat(32)));
    // A service of root, and a rootless engine.
    assert!(look(Some(&world.own), "unshare -m"));
    assert!(look(Some(&world.own), "unshare -U -r -m"));
    // A container with the pid namespace of the host: of root without its rights, and of a user.
    let without = "unshare -m setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin";
    assert!(!look(Some(&world.own), without));
    assert!(!look(Some(&container), "unshare -U -r -m"));
    assert!(look(None, "env"));
    drop(container);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_guess_finds_the_containers_around_and_no_other() {
    let world = World::new();
    let view = world.daemon.path("containers");
    let own = world.own.key();
    let script = format!(
        "for key in $(seq {} {}); do echo {}/$key; done | xargs ls -d 2>/dev/null | wc -l",
        own.saturating_sub(300),
        own + 300,
        view.display()
    );
    let found = world.own.stdout(&world.daemon, &script);
    let found: u64 = found.trim().parse().unwrap();
    let around = |cgroup: &Cgroup| {
        let path = cgroup.path();
        let above = path.ancestors().map(Path::to_owned);
        above.count() as u64
    };
    assert!(found <= around(&world.own), "{found}");
}
