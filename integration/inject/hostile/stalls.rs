//! Containers that make the hook or `attach` wait, or fill its memory.

use super::{MAX_WAIT, Silent, act, bundle, count_mounts};
use crate::{
    harness::oci::{Bundle, huge},
    harness::{Daemon, only_line, plimsoll, wait_until},
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and nsenter"]
fn a_silent_fuse_of_the_container_does_not_delay_the_hook_and_gets_no_file() {
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
        let said = only_line(what, &output, 1, &output.stderr);
        let expected = "/proc/meminfo in the container is not the kernel's own file: it lies in a file system of type fuse";
        assert!(said.contains(expected), "{what}: {said}");
        assert!(begun.elapsed() < MAX_WAIT, "{what}: {:?}", begun.elapsed());
        let mounted = String::from_utf8_lossy(&output.stdout);
        assert!(!mounted.contains("/meminfo"), "{what}: {mounted}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, nsenter and crun"]
fn a_silent_fuse_of_the_container_does_not_delay_attach_and_gets_no_file() {
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
        let said = only_line(&what, &output, 1, &output.stdout);
        let expected = format!("it lies in a file system of type {kind}");
        assert!(said.contains(&expected), "{what}: {said}");
        let output = act(&["detach"], pid);
        assert!(output.status.success(), "{what}: {output:?}");
        assert!(begun.elapsed() < MAX_WAIT, "{what}: {:?}", begun.elapsed());
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        assert!(!mounts.contains(view), "{what}: {mounts}");
    }
}

#[test]
fn a_huge_configuration_costs_the_hook_bounded_time_and_memory() {
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
        let error = only_line(what, &output, 1, &output.stderr);
        assert!(error.contains(said), "{what}: {error}");
        assert!(begun.elapsed() < MAX_WAIT, "{what}: {:?}", begun.elapsed());
    }
}

/// A mount. Unmounted when dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, crun and a quiet machine"]
fn a_mount_point_whose_name_is_no_utf_8_disturbs_no_command() {
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join(OsStr::from_bytes(b"\xff\n\\ "));
    fs::create_dir(&odd).unwrap();
    let none = None::<&str>;
    mount(Some("x"), &odd, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    // A reader that takes the list of mounts for UTF-8 fails.
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
    // The end of the daemon takes its files out of that container too.
    drop(daemon);
    drop(odd);
    assert_eq!(count_mounts(&pid.to_string(), Path::new(view), |_| true), 0);
}
