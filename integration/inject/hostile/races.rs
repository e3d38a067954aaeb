//! Containers that change their mounts while the hook or `attach` works in them.

use super::{MAX_WAIT, Repeating, Shared, act, bundle, count_mounts};
use crate::{
    harness::oci::Bundle,
    harness::{Daemon, plimsoll},
};
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    unistd::gettid,
};
use plimsoll::base::sys::mount::{self as tree, Depth};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::{fd::AsFd, unix::fs::symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::Instant,
};

/// A mount namespace. Its thread changes the mounts of a root in a loop.
struct Restless {
    tid: i32,
    _thread: Repeating,
}

impl Restless {
    fn new(mut change: impl FnMut() + Send + 'static) -> Restless {
        let (sender, tids) = channel();
        let mut is_there = false;
        let thread = Repeating::spawn(move || {
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

/// The number of calls of the hook or of `attach` in a test.
const ROUNDS: u32 = 300;

/// Calls the hook for that bundle in that mount namespace. Verifies its output and its time, and returns its
/// exit status.
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
    assert!(begun.elapsed() < MAX_WAIT, "{:?}: {said}", begun.elapsed());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    output.status.code()
}

/// A bundle whose root is a private mount.
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

/// Makes the mount at the second argument, in a loop, a peer of the mount at the first, and then private.
/// MOVE_MOUNT_SET_GROUP is of Linux 5.15.
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
#[ignore = "needs root, /dev/fuse, cgroups, nsenter, perl and a real CPU"]
fn a_proc_that_is_shared_and_private_in_turn_gets_no_file_that_others_see() {
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
        assert!(toggle.try_wait().unwrap().is_none(), "the toggle has ended");
        toggle.kill().unwrap();
        toggle.wait().unwrap();
        let seen = |point: &Path| point.starts_with(shared.path());
        assert_eq!(
            count_mounts("self", &daemon.mountpoint, seen),
            0,
            "{ended:?}"
        );
    }
    unmount(&theirs);
    assert!(
        ended.contains_key(&Some(1)),
        "no call met a change: {ended:?}"
    );
}

#[test]
#[ignore = "needs root and a real CPU"]
fn the_kernel_refuses_an_unbindable_mount_on_a_shared_one() {
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
#[ignore = "needs root, /dev/fuse, cgroups, nsenter and a real CPU"]
fn a_proc_that_is_renamed_replaced_and_covered_during_the_hook_gets_no_file_elsewhere() {
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
        assert_eq!(count_mounts("self", &daemon.mountpoint, outside), 0);
        let tops = ["rootfs/proc", "rootfs/sys"].map(|top| bundle.join(top));
        let elsewhere =
            |point: &Path| outside(point) && !tops.iter().any(|top| point.starts_with(top));
        assert_eq!(count_mounts(&process, &daemon.mountpoint, elsewhere), 0);
    }
    assert!(
        ended.contains_key(&Some(1)),
        "no call met a change: {ended:?}"
    );
}

/// Attaches and detaches, in a loop, a container of crun whose script changes its mounts meanwhile. Returns the
/// number of attaches that mounted a file.
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
            assert!(begun.elapsed() < MAX_WAIT, "{:?}: {said}", begun.elapsed());
            given += u32::from(said.contains(" attached (") || said.contains("incomplete ("));
        }
        // The container can move its own files, and moves its /proc there itself.
        let own = shared.path().join("p");
        let strays = |point: &Path| point.starts_with(shared.path()) && !point.starts_with(&own);
        assert_eq!(count_mounts("self", &daemon.mountpoint, strays), 0);
        let strays = |point: &Path| !point.starts_with("/proc") && !point.starts_with("/sys");
        let strays = |point: &Path| strays(point) && !point.starts_with("/vol/p");
        assert_eq!(
            count_mounts(&pid.to_string(), &daemon.mountpoint, strays),
            0
        );
    }
    given
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, crun and a real CPU"]
fn a_container_that_moves_its_proc_in_a_loop_gets_no_file_elsewhere() {
    let daemon = Daemon::start();
    let script = "mount -o move /proc /vol/p; umount /vol/p; mount -t proc proc /proc";
    let given = attached_while(&daemon, &Shared::new(), script);
    assert!(given > 0, "no attach mounted a file");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, crun and a real CPU"]
fn a_container_that_covers_its_files_in_a_loop_gets_no_file_elsewhere() {
    let daemon = Daemon::start();
    let script = "echo > /tmp/own; mount -o bind /tmp/own /proc/meminfo; umount /proc/meminfo; \
                  mount -t tmpfs x /proc; umount /proc";
    let given = attached_while(&daemon, &Shared::new(), script);
    assert!(given > 0, "no attach mounted a file");
}
