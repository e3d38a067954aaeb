//! Containers that want the daemon to change a wrong mount or to wait, when the daemon takes its files out of
//! them or replaces dead ones.

use super::{
    hook::Made,
    hostile::{Shared, Silent, count_mounts},
};
use crate::harness::{
    Daemon, busybox,
    oci::{Bundle, patiently},
    stdout_of, wait_until,
};
use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The maximum time for the end of a daemon, which gives the containers 7 s. An emulated machine is ten
/// times as slow.
const MAX_END: Duration = Duration::from_secs(60);

/// Starts a container that sleeps, and attaches it.
fn start_attached(daemon: &Daemon) -> (Bundle, u32) {
    let bundle = Bundle::new("crun").script("exec sleep 1000");
    let pid = bundle.start();
    let view = daemon.mountpoint.to_str().unwrap();
    stdout_of(&patiently(&[
        "attach",
        "--view",
        view,
        "--pid",
        &pid.to_string(),
    ]));
    (bundle, pid)
}

/// Mounts a file system that never answers in a container, with these words of a command line.
fn mount_silent(pid: u32, silent: &Silent, words: [&str; 4]) {
    let mut command = Command::new("nsenter");
    command.args(["-m", "-t", &pid.to_string(), "/bin/busybox", "mount", "-i"]);
    command.args(["-o", &Silent::options("40555")]).args(words);
    assert!(command.stdin(silent.stdin()).status().unwrap().success());
}

/// Mounts a file system that never answers over a container's /proc.
fn hide_proc(pid: u32, silent: &Silent) {
    mount_silent(pid, silent, ["-t", "fuse", "x", "/proc"]);
}

/// Waits until a file of the view can be read through the root of a process.
fn wait_for_repair(pid: u32, file: &Path) {
    let path = format!("/proc/{pid}/root{}", file.display());
    wait_until("the file is repaired", || {
        fs::read_to_string(&path).is_ok_and(|text| text.contains("MemTotal"))
    });
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, nsenter and crun"]
fn a_silent_fuse_of_a_container_does_not_delay_the_end_of_the_daemon() {
    let daemon = Daemon::start();
    let (_bundle, pid) = start_attached(&daemon);
    let silent = Silent::new();
    hide_proc(pid, &silent);
    let begun = Instant::now();
    drop(daemon);
    assert!(begun.elapsed() < MAX_END, "{:?}", begun.elapsed());
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, nsenter and crun"]
fn a_silent_fuse_that_looks_like_the_view_holds_nothing_of_a_daemon_that_ended() {
    let daemon = Daemon::start();
    let view = daemon.mountpoint.clone();
    let source = plimsoll::base::paths::mount_source(&view);
    let (bundle, pid) = start_attached(&daemon);
    let silent = Silent::new();
    let point = view.to_str().unwrap();
    bundle.exec(&format!("mkdir -p {point}"));
    let kind = plimsoll::base::paths::FS_TYPE;
    mount_silent(pid, &silent, ["-t", kind, &source, point]);
    // A daemon that starts asks the silent one whether its mount is dead.
    let mut last = daemon;
    for _ in 0..2 {
        let begun = Instant::now();
        drop(last);
        fs::create_dir_all(&view).unwrap();
        last = Daemon::on(view.clone());
        assert!(begun.elapsed() < MAX_END, "{:?}", begun.elapsed());
        let read = fs::read_to_string(last.path("proc/meminfo"));
        assert!(read.unwrap().contains("MemTotal"));
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// Stacks mounts in a user namespace of its own, and copies them to more mount namespaces.
const STACK: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for n in range(20000):
    assert libc.mount(b'/mnt', b'/mnt', None, 4096, None) == 0
for n in range(8):
    if os.fork() == 0:
        libc.unshare(0x20000)
        sys.stdin.read()
        os._exit(0)
print('ready', flush=True)
sys.stdin.read()
";

#[test]
#[ignore = "needs root, /dev/fuse, python3, setpriv and a real CPU"]
fn a_user_who_stacks_mounts_delays_neither_the_end_of_the_daemon_nor_another_container() {
    let daemon = Daemon::start();
    let view = daemon.mountpoint.clone();
    let mut attacker = Command::new("setpriv");
    attacker.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    attacker.args(["unshare", "-U", "-r", "-m", "sh", "-ec"]);
    attacker.args(["mount -t tmpfs t /mnt; exec python3 -c \"$0\"", STACK]);
    attacker.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut attacker = attacker.spawn().unwrap();
    attacker
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 6])
        .unwrap();
    let path = daemon.path("proc/meminfo");
    let made = Made::by(&format!("mount --bind {} /proc/meminfo", path.display()));
    let pid = made.pid().to_string();
    assert_eq!(
        count_mounts(&pid, &view, |point| point == Path::new("/proc/meminfo")),
        1
    );
    let begun = Instant::now();
    drop(daemon);
    let took = begun.elapsed();
    assert_eq!(count_mounts(&pid, &view, |_| true), 0);
    // 7 s for the containers, and what the machine takes beside nine readers of those mounts.
    assert!(took < Duration::from_secs(15), "{took:?}");
    drop(attacker.stdin.take());
    attacker.wait().unwrap();
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, nsenter and crun"]
fn a_silent_fuse_of_one_container_does_not_stop_the_repair_of_another() {
    let mut daemon = Daemon::start();
    let (_hidden, pid) = start_attached(&daemon);
    let (_bundle, other) = start_attached(&daemon);
    let silent = Silent::new();
    hide_proc(pid, &silent);
    daemon.kill();
    let _next = Daemon::on(daemon.mountpoint.clone());
    wait_for_repair(other, Path::new("/proc/meminfo"));
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_mount_of_the_container_on_a_file_of_the_view_stays_when_the_daemon_ends() {
    let daemon = Daemon::start();
    let (bundle, _) = start_attached(&daemon);
    bundle.exec("echo own > /tmp/own; mount -o bind /tmp/own /proc/meminfo");
    drop(daemon);
    assert_eq!(bundle.exec("cat /proc/meminfo"), "own\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and busybox"]
fn a_process_with_another_root_loses_the_files_of_the_view_in_that_root() {
    let daemon = Daemon::start();
    let root = tempfile::tempdir().unwrap();
    fs::copy(busybox(), root.path().join("busybox")).unwrap();
    fs::write(root.path().join("meminfo"), "").unwrap();
    let (view, path) = (daemon.mountpoint.clone(), root.path().display());
    let made = Made::by(&format!(
        "mount --bind {}/proc/meminfo {path}/meminfo\n\
         exec chroot {path} /busybox sh -c 'echo; exec /busybox cat'",
        view.display()
    ));
    let pid = made.pid().to_string();
    assert_eq!(count_mounts(&pid, &view, |_| true), 1);
    drop(daemon);
    assert_eq!(count_mounts(&pid, &view, |_| true), 0);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_copy_of_a_dead_view_is_repaired_with_the_containers_in_it() {
    let mut daemon = Daemon::start();
    let made = Made::by("");
    daemon.kill();
    let next = Daemon::on(daemon.mountpoint.clone());
    wait_for_repair(made.pid(), &next.path("proc/meminfo"));
    let containers = format!("/proc/{}/root", made.pid());
    let containers = containers + next.path("containers").to_str().unwrap();
    wait_until("the directory of the containers can be read", || {
        fs::read_dir(&containers).is_ok()
    });
    let is_there = |point: &Path| point == next.path("containers");
    let mounts = || count_mounts(&made.pid().to_string(), &next.mountpoint, is_there);
    wait_until("the containers are a mount of their own", || mounts() == 1);
}

/// A process with mounts that it may not lose: it has a user and a mount namespace of its own, with the
/// ids of the host, and copies of the mounts that the script made before.
fn locked(script: &str) -> Made {
    Made::by(&format!(
        "{script}\nexec unshare -U -m -r --propagation unchanged sh -c 'echo; exec cat'"
    ))
}

/// Returns the options of the topmost mount that a process has at a path.
fn options(pid: u32, path: &Path) -> String {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let fields = mounts.lines().map(|line| line.split(' ').skip(4));
    let mut at = fields.filter_map(|mut fields| {
        let point = fields.next()?;
        (Path::new(point) == path).then(|| fields.next().unwrap().to_owned())
    });
    at.next_back().unwrap()
}

/// Lists the files and directories in a directory of a process, by their paths below it.
fn tree(pid: u32, directory: &Path) -> Vec<String> {
    let mut find = Command::new("find");
    let path = format!("/proc/{pid}/root{}", directory.display());
    let found = find
        .arg(path)
        .args(["-mindepth", "1", "-printf", "%P\\n"])
        .output();
    let found = stdout_of(&found.unwrap());
    found.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_locked_directory_of_the_view_becomes_the_hosts_served_files_and_no_other() {
    let daemon = Daemon::start();
    let view = daemon.mountpoint.clone();
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    for name in ["proc", "cpu", "all"] {
        fs::create_dir(place(name)).unwrap();
    }
    let made = locked(&format!(
        "mount --bind {0}/proc {1}/proc; mount --bind {0}/sys/devices/system/cpu {1}/cpu\n\
         mount --rbind {0} {1}/all",
        view.display(),
        directory.path().display()
    ));
    drop(daemon);
    let host = fs::read_to_string("/proc/meminfo").unwrap();
    for name in ["proc", "cpu", "all"] {
        assert!(options(made.pid(), &place(name)).starts_with("ro,nosuid,nodev,noexec"));
        let found = tree(made.pid(), &place(name));
        let below = match name {
            "all" => "",
            "proc" => "proc/",
            _ => "sys/devices/system/cpu/",
        };
        for path in found {
            let host = Path::new("/").join(below).join(&path);
            let own = format!("/proc/{}/root{}/{path}", made.pid(), place(name).display());
            let is_file = fs::metadata(&own).unwrap().is_file();
            let is_served = plimsoll::inject::binds()
                .any(|bind| host.starts_with(Path::new("/").join(bind.path)));
            assert!(is_served || !is_file, "{name}: {path}");
        }
    }
    let meminfo = format!(
        "/proc/{}/root{}",
        made.pid(),
        place("proc/meminfo").display()
    );
    let meminfo = fs::read_to_string(meminfo).unwrap();
    assert_eq!(meminfo.lines().next(), host.lines().next());
    let count = tree(made.pid(), &place("proc")).len();
    assert!((9..=16).contains(&count), "{count}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_locked_file_of_the_view_becomes_the_hosts_file_read_only() {
    let daemon = Daemon::start();
    let view = daemon.mountpoint.clone();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("meminfo");
    fs::write(&file, "").unwrap();
    let made = locked(&format!(
        "mount --bind {}/proc/meminfo {}",
        view.display(),
        file.display()
    ));
    drop(daemon);
    assert!(options(made.pid(), &file).starts_with("ro,nosuid,nodev,noexec"));
    let own = format!("/proc/{}/root{}", made.pid(), file.display());
    assert!(fs::read_to_string(own).unwrap().starts_with("MemTotal:"));
}

/// Binds the file of the third argument over `f` in a copy, at the second, of the directory at the
/// first, and then makes the copy a peer of that directory; MOVE_MOUNT_SET_GROUP is of Linux 5.15.
const JOIN: &str = r#"
my ($from, $to, $file, $none) = (@ARGV, "x");
my $mount = `uname -m` =~ /x86/ ? 165 : 40;
my $target = "$to/f";
syscall($mount, $from, $to, $none, 1 << 12, 0) == 0 or die "bind: $!";
syscall($mount, $none, $to, $none, 1 << 18, 0) == 0 or die "alone: $!";
syscall($mount, $file, $target, $none, 1 << 12, 0) == 0 or die "file: $!";
syscall($mount, $none, $target, $none, 1 << 18, 0) == 0 or die "file alone: $!";
syscall(429, -100, $from, -100, $to, 0x100) == 0 or die "join: $!";
$| = 1;
print "ready\n";
sleep(1000);
"#;

/// A process in a mount namespace of its own, with a file of the view in a directory that the host shares.
struct Joined(Child);

impl Joined {
    fn new(shared: &Path, copy: &Path, file: &Path) -> Joined {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "unchanged", "perl", "-e", JOIN]);
        command.args([shared, copy, file]).stdout(Stdio::piped());
        let mut joined = Joined(command.spawn().unwrap());
        let mut ready = [0; 6];
        let stdout = joined.0.stdout.as_mut().unwrap();
        stdout.read_exact(&mut ready).unwrap();
        joined
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and perl"]
fn a_file_in_a_directory_that_the_host_shares_is_repaired_and_shows_in_no_other_place() {
    let mut daemon = Daemon::start();
    let (shared, copy) = (Shared::new(), tempfile::tempdir().unwrap());
    fs::write(shared.path().join("f"), "").unwrap();
    let joined = Joined::new(shared.path(), copy.path(), &daemon.path("proc/meminfo"));
    let pid = joined.0.id();
    let elsewhere = |point: &Path| point.starts_with(shared.path());
    let view = daemon.mountpoint.clone();
    let processes = ["self".to_owned(), pid.to_string()];
    let strays = || {
        processes
            .each_ref()
            .map(|process| count_mounts(process, &view, elsewhere))
    };
    assert_eq!(strays(), [0, 0]);
    daemon.kill();
    let _next = Daemon::on(daemon.mountpoint.clone());
    wait_for_repair(pid, &copy.path().join("f"));
    assert_eq!(strays(), [0, 0]);
}
