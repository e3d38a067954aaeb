//! Containers that want files mounted in a wrong place, or whoever mounts them kept waiting.

use crate::{
    harness::oci::{Bundle, configured, huge},
    harness::{Daemon, plimsoll, wait_until},
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    mount::{MntFlags, MsFlags, mount, umount2},
    poll::{PollFd, PollFlags, poll},
    sched::{CloneFlags, unshare},
    unistd::gettid,
};
use plimsoll::base::sys::mount::{self as tree, Depth};
use serde_json::json;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{OpenOptionsExt, symlink},
        },
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// So long nobody is kept waiting, in an emulated machine either.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Does something over and over in a thread, until dropped.
struct Again {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Again {
    /// `work` answers whether it has more to do.
    fn spawn(mut work: impl FnMut() -> bool + Send + 'static) -> Again {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || while !ends.load(Ordering::Relaxed) && work() {});
        Again {
            is_over,
            thread: Some(thread),
        }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

/// The daemon of a FUSE connection that says it serves, takes what it is asked, and never answers.
pub(crate) struct Silent {
    device: File,
    _takes: Again,
}

impl Silent {
    pub(crate) fn new() -> Silent {
        let mut options = File::options();
        options.read(true).write(true);
        options.custom_flags(OFlag::O_NONBLOCK.bits());
        let device = options.open("/dev/fuse").unwrap();
        let mut taken = device.try_clone().unwrap();
        let takes = Again::spawn(move || {
            let mut fds = [PollFd::new(taken.as_fd(), PollFlags::POLLIN)];
            // Before it is mounted there is nothing to be polled, either.
            if poll(&mut fds, 20u16) == Ok(0) {
                return true;
            }
            let mut request = vec![0; 1 << 20];
            match taken.read(&mut request) {
                Ok(length) if request[4..8] == 26u32.to_ne_bytes() && length > 40 => {
                    taken.write_all(&initialized(&request)).unwrap();
                }
                Ok(_) => {}
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
            true
        });
        Silent {
            device,
            _takes: takes,
        }
    }

    /// What mounts it, for a process that has the device as its standard input.
    pub(crate) fn options(mode: &str) -> String {
        format!("fd=0,rootmode={mode},user_id=0,group_id=0,allow_other")
    }

    pub(crate) fn stdin(&self) -> Stdio {
        self.device.try_clone().unwrap().into()
    }
}

/// The answer to FUSE_INIT (`include/uapi/linux/fuse.h`), of version 7.31 with no features.
fn initialized(request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    answer.extend(80u32.to_ne_bytes());
    answer.extend(0i32.to_ne_bytes());
    answer.extend(&request[8..16]);
    for word in [7u32, 31, 4096, 0, 0, 4096, 1] {
        answer.extend(word.to_ne_bytes());
    }
    answer.resize(80, 0);
    answer
}

/// A bundle by hand: a root with an empty /proc, and the state that a runtime would say.
fn bundle() -> tempfile::TempDir {
    let bundle = tempfile::tempdir().unwrap();
    let path = bundle.path();
    fs::create_dir_all(path.join("rootfs/proc")).unwrap();
    fs::create_dir_all(path.join("rootfs/sys")).unwrap();
    let config = json!({"root": {"path": "rootfs"}}).to_string();
    fs::write(path.join("config.json"), config).unwrap();
    let state = json!({"ociVersion": "1.0.2", "id": "box", "pid": 0, "bundle": path});
    fs::write(path.join("state.json"), state.to_string()).unwrap();
    bundle
}

/// The one line that a program said, which failed for what the container did.
fn told(what: &str, output: &Output, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    assert_eq!(output.status.code(), Some(1), "{what}: {said}");
    assert_eq!(said.lines().count(), 1, "{what}: {said}");
    said.into_owned()
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and nsenter"]
fn a_fuse_of_the_containers_own_in_the_way_does_not_hold_the_hook_up_and_gets_nothing() {
    let daemon = Daemon::start();
    for (what, prepare) in [
        ("at /proc", "mount -i -t fuse -o @DIRECTORY x rootfs/proc"),
        (
            "at /proc, under our name",
            "mount -i -t fuse.plimsoll -o @DIRECTORY plimsoll:/ rootfs/proc",
        ),
        (
            "at /proc/meminfo",
            "mount -t proc x rootfs/proc; mount -i -t fuse -o @FILE x rootfs/proc/meminfo",
        ),
    ] {
        let silent = Silent::new();
        let bundle = bundle();
        let prepare = prepare
            .replace("@DIRECTORY", &Silent::options("40555"))
            .replace("@FILE", &Silent::options("100444"));
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-ec"]);
        command.arg(format!(
            "cd \"$1\"; {prepare}; rc=0\n\
             \"$0\" hook --view \"$2\" --unlimited --require --hook-timeout 1m <state.json || rc=$?\n\
             grep \"plimsoll:$2\" /proc/self/mountinfo | cut -d' ' -f5; exit $rc"
        ));
        command.arg(plimsoll().get_program());
        command.arg(bundle.path()).arg(&daemon.mountpoint);
        let begun = Instant::now();
        let output = command.stdin(silent.stdin()).output().unwrap();
        let said = told(what, &output, &output.stderr);
        let expected = "/proc/meminfo in the container is not the kernel's own file: it lies in a file system of type fuse";
        assert!(said.contains(expected), "{what}: {said}");
        assert!(begun.elapsed() < LONG, "{what}: {:?}", begun.elapsed());
        let mounted = String::from_utf8_lossy(&output.stdout);
        assert!(!mounted.contains("/meminfo"), "{what}: {mounted}");
    }
}

fn act(action: &[&str], pid: u32) -> Output {
    // An emulated machine is slow.
    let (_directory, config) = configured("hook-timeout = \"1m\"");
    let mut command = plimsoll();
    command.args(action).args(["--config", &config]);
    command.args(["--pid", &pid.to_string()]).output().unwrap()
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, nsenter and crun"]
fn a_fuse_of_the_containers_own_in_the_way_does_not_hold_attach_up_and_gets_nothing() {
    let daemon = Daemon::start();
    let view = daemon.mountpoint.to_str().unwrap();
    for (kind, mode, point) in [
        ("fuse", "40555", "/proc"),
        ("fuse.plimsoll", "40555", "/proc"),
        ("fuse", "100444", "/proc/meminfo"),
    ] {
        let what = format!("{kind} at {point}");
        let silent = Silent::new();
        let bundle = Bundle::new("crun").script("exec sleep 1000");
        let pid = bundle.start();
        let mut command = Command::new("nsenter");
        command.args(["-m", "-t", &pid.to_string()]);
        command.args(["/bin/busybox", "mount", "-i", "-t", kind, "-o"]);
        command.args([&Silent::options(mode), "x", point]);
        let mounted = command.stdin(silent.stdin()).status().unwrap();
        assert!(mounted.success(), "{what}");
        let begun = Instant::now();
        let output = act(&["attach", "--view", view], pid);
        let said = told(&what, &output, &output.stdout);
        let expected = format!("it lies in a file system of type {kind}");
        assert!(said.contains(&expected), "{what}: {said}");
        let output = act(&["detach"], pid);
        assert!(output.status.success(), "{what}: {output:?}");
        assert!(begun.elapsed() < LONG, "{what}: {:?}", begun.elapsed());
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        assert!(!mounts.contains(view), "{what}: {mounts}");
    }
}

/// A directory whose mounts are seen by whoever has it, the host too.
pub(crate) struct Shared {
    directory: tempfile::TempDir,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        let directory = tempfile::tempdir().unwrap();
        let (path, none) = (directory.path(), None::<&str>);
        mount(Some("x"), path, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        mount(none, path, none, MsFlags::MS_SHARED, none).unwrap();
        fs::create_dir(path.join("p")).unwrap();
        Shared { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        while umount2(self.path(), MntFlags::MNT_DETACH).is_ok() {}
    }
}

/// How many files of that view a process has at such points.
pub(crate) fn mounted(process: &str, view: &Path, is_such: impl Fn(&Path) -> bool) -> usize {
    let source = plimsoll::base::paths::mount_source(view);
    let mountinfo = format!("/proc/{process}/mountinfo");
    let mounts = plimsoll::base::mountinfo::at(Path::new(&mountinfo)).unwrap();
    let such =
        |mount: &&plimsoll::base::mountinfo::Mount| mount.source == source && is_such(&mount.point);
    mounts.iter().filter(such).count()
}

/// A mount namespace whose thread changes the mounts of a root in it again and again.
struct Restless {
    tid: i32,
    _thread: Again,
}

impl Restless {
    fn new(mut change: impl FnMut() + Send + 'static) -> Restless {
        let (sender, tids) = channel();
        let mut is_there = false;
        let thread = Again::spawn(move || {
            if !is_there {
                unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
                sender.send(gettid().as_raw()).unwrap();
                is_there = true;
            }
            change();
            true
        });
        let tid = tids.recv().unwrap();
        Restless {
            tid,
            _thread: thread,
        }
    }
}

/// How often the hook is called, or a container attached.
const ROUNDS: u32 = 300;

/// Calls the hook for that bundle in that mount namespace; its status, for what it said is one line and
/// came soon.
fn hook(daemon: &Daemon, bundle: &Path, namespace: &str) -> Option<i32> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--mount={namespace}"));
    command
        .arg(plimsoll().get_program())
        .args(["hook", "--view"]);
    command.arg(&daemon.mountpoint);
    command.args(["--unlimited", "--require", "--hook-timeout", "1m"]);
    command.stdin(File::open(bundle.join("state.json")).unwrap());
    let begun = Instant::now();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().count() < 2, "{said}");
    assert!(begun.elapsed() < LONG, "{:?}: {said}", begun.elapsed());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    output.status.code()
}

/// A root with mounts of its own, in a bundle; what is mounted there is seen by nobody else.
struct Own(tempfile::TempDir);

impl Own {
    fn new() -> Own {
        let own = Own(bundle());
        let (path, none) = (own.rootfs(), None::<&str>);
        mount(Some(&path), &path, none, MsFlags::MS_BIND, none).unwrap();
        mount(none, &path, none, MsFlags::MS_PRIVATE, none).unwrap();
        own
    }

    fn rootfs(&self) -> PathBuf {
        self.0.path().join("rootfs")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = umount2(&self.rootfs(), MntFlags::MNT_DETACH);
    }
}

fn mount_proc(point: &Path) {
    let none = None::<&str>;
    mount(Some("x"), point, Some("proc"), MsFlags::empty(), none).unwrap();
}

fn unmount(point: &Path) {
    umount2(point, MntFlags::MNT_DETACH).unwrap();
}

/// Makes the mount at its second argument, again and again, one of the same peers as that at its first,
/// and one that stands alone; MOVE_MOUNT_SET_GROUP is of Linux 5.15.
const TOGGLE: &str = r#"
my ($from, $to, $none) = (@ARGV, "x");
my $mount = `uname -m` =~ /x86/ ? 165 : 40;
sub alone { syscall($mount, $none, $to, $none, 1 << 18, 0) == 0 or die "alone: $!" }
syscall($mount, $from, $to, $none, 1 << 12, 0) == 0 or die "bind: $!";
alone();
$| = 1;
print "ready\n";
while (1) {
    syscall(429, -100, $from, -100, $to, 0x100) == 0 or die "share: $!";
    alone();
}
"#;

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, nsenter and perl"]
fn a_proc_that_others_see_and_do_not_see_in_turn_gets_nothing_where_they_would_see_it() {
    let daemon = Daemon::start();
    let (own, shared) = (Own::new(), Shared::new());
    let (proc, theirs) = (own.rootfs().join("proc"), shared.path().join("p"));
    mount_proc(&theirs);
    let mut ended = BTreeMap::new();
    for _ in 0..ROUNDS / 6 {
        let mut toggle = Command::new("unshare");
        toggle.args(["-m", "--propagation", "unchanged", "perl", "-e", TOGGLE]);
        toggle.arg(&theirs).arg(&proc).stdout(Stdio::piped());
        let mut toggle = toggle.spawn().unwrap();
        let mut ready = [0; 6];
        toggle
            .stdout
            .take()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        let status = hook(
            &daemon,
            own.0.path(),
            &format!("/proc/{}/ns/mnt", toggle.id()),
        );
        *ended.entry(status).or_insert(0) += 1;
        assert!(toggle.try_wait().unwrap().is_none(), "it stands still");
        toggle.kill().unwrap();
        toggle.wait().unwrap();
        let seen = |point: &Path| point.starts_with(shared.path());
        assert_eq!(mounted("self", &daemon.mountpoint, seen), 0, "{ended:?}");
    }
    unmount(&theirs);
    assert!(ended.contains_key(&Some(1)), "never in its way: {ended:?}");
}

#[test]
#[ignore = "needs root"]
fn the_kernel_puts_nothing_where_others_would_see_it_that_is_to_stand_alone() {
    let (shared, alone) = (Shared::new(), tempfile::tempdir().unwrap());
    let opened = |path: &Path| File::open(path).unwrap();
    let tree = tree::clone_tree(opened(shared.path()).as_fd(), Depth::Alone).unwrap();
    tree::make_private(tree.as_fd()).unwrap();
    tree::make_unbindable(tree.as_fd()).unwrap();
    let attach = |to: &Path| tree::attach(tree.as_fd(), opened(to).as_fd());
    assert_eq!(attach(&shared.path().join("p")), Err(Errno::EINVAL));
    let (path, none) = (alone.path(), None::<&str>);
    mount(Some("x"), path, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    mount(none, path, none, MsFlags::MS_PRIVATE, none).unwrap();
    let attached = attach(path);
    while umount2(path, MntFlags::MNT_DETACH).is_ok() {}
    assert_eq!(attached, Ok(()));
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and nsenter"]
fn a_proc_that_is_renamed_replaced_and_covered_while_the_hook_works_gets_nothing_elsewhere() {
    let daemon = Daemon::start();
    let own = Own::new();
    let (proc, was) = (own.rootfs().join("proc"), own.rootfs().join("was"));
    let trap = own.0.path().join("trap");
    fs::create_dir(&trap).unwrap();
    fs::write(trap.join("meminfo"), "").unwrap();
    let none = None::<&str>;
    let restless = Restless::new(move || {
        mount_proc(&proc);
        let meminfo = proc.join("meminfo");
        let file = trap.join("meminfo");
        mount(Some(&file), &meminfo, none, MsFlags::MS_BIND, none).unwrap();
        unmount(&meminfo);
        mount(Some("x"), &proc, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        unmount(&proc);
        unmount(&proc);
        fs::rename(&proc, &was).unwrap();
        for to in [Path::new("/proc"), &trap] {
            symlink(to, &proc).unwrap();
            fs::remove_file(&proc).unwrap();
        }
        fs::rename(&was, &proc).unwrap();
    });
    let process = format!("{}/task/{}", std::process::id(), restless.tid);
    let mut ended = BTreeMap::new();
    for _ in 0..ROUNDS {
        let status = hook(&daemon, own.0.path(), &format!("/proc/{process}/ns/mnt"));
        *ended.entry(status).or_insert(0) += 1;
        let bundle = own.0.path();
        let outside = |point: &Path| point.starts_with(bundle);
        assert_eq!(mounted("self", &daemon.mountpoint, outside), 0);
        let tops = ["rootfs/proc", "rootfs/sys"].map(|top| bundle.join(top));
        let elsewhere =
            |point: &Path| outside(point) && !tops.iter().any(|top| point.starts_with(top));
        assert_eq!(mounted(&process, &daemon.mountpoint, elsewhere), 0);
    }
    assert!(ended.contains_key(&Some(1)), "never in its way: {ended:?}");
}

/// Attaches and detaches a container of crun again and again whose script changes its mounts
/// meanwhile; the lines of `attach` that say something was mounted.
fn attached_while(daemon: &Daemon, shared: &Shared, script: &str) -> u32 {
    let view = daemon.mountpoint.to_str().unwrap();
    let mut bundle = Bundle::new("crun").script(&format!("while :; do {script}; done"));
    let volume = json!({"destination": "/vol", "type": "bind", "source": shared.path(), "options": ["rbind", "rshared"]});
    bundle.config["mounts"].as_array_mut().unwrap().push(volume);
    fs::create_dir(bundle.rootfs().join("vol")).unwrap();
    let pid = bundle.start();
    let mut given = 0;
    for _ in 0..ROUNDS / 4 {
        for action in [&["attach", "--view", view][..], &["detach"]] {
            let begun = Instant::now();
            let output = act(action, pid);
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said.lines().count(), 1, "{output:?}");
            assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
            assert!(begun.elapsed() < LONG, "{:?}: {said}", begun.elapsed());
            given += u32::from(said.contains(" attached (") || said.contains("incomplete ("));
        }
        // With what it has been given it may do as it likes, and takes its /proc there itself.
        let own = shared.path().join("p");
        let strays = |point: &Path| point.starts_with(shared.path()) && !point.starts_with(&own);
        assert_eq!(mounted("self", &daemon.mountpoint, strays), 0);
        let strays = |point: &Path| !point.starts_with("/proc") && !point.starts_with("/sys");
        let strays = |point: &Path| strays(point) && !point.starts_with("/vol/p");
        assert_eq!(mounted(&pid.to_string(), &daemon.mountpoint, strays), 0);
    }
    given
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_moves_its_proc_again_and_again_gets_nothing_elsewhere() {
    let daemon = Daemon::start();
    let script = "mount -o move /proc /vol/p; umount /vol/p; mount -t proc proc /proc";
    let given = attached_while(&daemon, &Shared::new(), script);
    assert!(given > 0, "never attached");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_covers_its_files_again_and_again_gets_nothing_elsewhere() {
    let daemon = Daemon::start();
    let script = "echo > /tmp/own; mount -o bind /tmp/own /proc/meminfo; umount /proc/meminfo; \
                  mount -t tmpfs x /proc; umount /proc";
    let given = attached_while(&daemon, &Shared::new(), script);
    assert!(given > 0, "never attached");
}

#[test]
fn a_huge_configuration_holds_the_hook_up_neither_for_long_nor_with_much_memory() {
    for (what, text, said) in [
        (
            "many values",
            huge("[],", "1", ""),
            "no daemon serves /nowhere",
        ),
        (
            "one inside the other",
            huge("[", "", "]"),
            "no daemon serves /nowhere",
        ),
        ("endless", "[".repeat(64 << 20), "cannot understand"),
        (
            "longer than any",
            " ".repeat((64 << 20) + 1),
            "is larger than 64 MB",
        ),
    ] {
        let bundle = bundle();
        fs::write(bundle.path().join("config.json"), text).unwrap();
        let mut command = Command::new("sh");
        let script = "ulimit -v 262144; exec \"$0\" hook --view /nowhere --require";
        command.args(["-c", script]).arg(plimsoll().get_program());
        command.stdin(File::open(bundle.path().join("state.json")).unwrap());
        let begun = Instant::now();
        let output = command.output().unwrap();
        let error = told(what, &output, &output.stderr);
        assert!(error.contains(said), "{what}: {error}");
        assert!(begun.elapsed() < LONG, "{what}: {:?}", begun.elapsed());
    }
}

/// A mount that ends with the test.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, crun and a quiet machine"]
fn a_mount_point_whose_name_is_no_text_is_in_nobodys_way() {
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join(OsStr::from_bytes(b"\xff\n\\ "));
    fs::create_dir(&odd).unwrap();
    let none = None::<&str>;
    mount(Some("x"), &odd, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    // Whoever reads the list of mounts as text fails as long as it is there.
    let odd = Mounted(odd);
    let daemon = Daemon::start();
    let view = daemon.mountpoint.to_str().unwrap().to_owned();
    let view = view.as_str();
    let bundle = Bundle::new("crun").script(
        "mkdir /tmp/$(printf '\\377'); \
        mount -t tmpfs x /tmp/$(printf '\\377'); exec sleep 1000",
    );
    let pid = bundle.start();
    wait_until("the container has its mount", || {
        let mounts = plimsoll::base::mountinfo::of(plimsoll::base::units::Pid(pid)).unwrap();
        let is_odd = |point: &Path| point.as_os_str().as_bytes().ends_with(b"/\xff");
        mounts.iter().any(|mount| is_odd(&mount.point))
    });
    let output = act(&["attach", "--view", view], pid);
    assert!(output.status.success(), "{output:?}");
    let run = plimsoll().args(["run", "-m", "64M", "--", "true"]).output();
    assert!(run.as_ref().unwrap().status.success(), "{run:?}");
    let doctor = plimsoll().arg("doctor").arg(view).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(
        said.contains(&format!("the daemon serves {view}")),
        "{said}"
    );
    // A daemon that ends takes its files out of that container too.
    drop(daemon);
    drop(odd);
    assert_eq!(mounted(&pid.to_string(), Path::new(view), |_| true), 0);
}
