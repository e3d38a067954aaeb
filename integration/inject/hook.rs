//! `plimsoll hook` in containers of real OCI runtimes.

use crate::{
    harness::oci::{Bundle, configured},
    harness::{
        Daemon, busybox, field, host_memory_kib, kill, plimsoll, stdout_of, stop, wait_until,
    },
};
use serde_json::json;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const READ: &str =
    "cat /proc/meminfo; grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online";

/// Asserts that a container with the hook at that stage sees its own limits.
fn assert_sees_its_own(bundle: Bundle, stage: &str, daemon: &Daemon) {
    let view = daemon.mountpoint.to_str().unwrap();
    let bundle = bundle.script(READ);
    let bundle = bundle.hook_at(
        stage,
        &["--view", view, "--require", "--hook-timeout", "1m"],
    );
    let text = stdout_of(&bundle.run());
    assert_eq!(field(&text, "MemTotal"), 64 << 10, "{text}");
    assert!(text.ends_with("\n1\n0\n"), "{text}");
}

fn sees_its_own_at_every_stage(runtime: &str) {
    let daemon = Daemon::start();
    for stage in ["createRuntime", "createContainer"] {
        assert_sees_its_own(Bundle::new(runtime), stage, &daemon);
        assert_sees_its_own(Bundle::new(runtime).user_namespace(), stage, &daemon);
        let mut hosts_pids = Bundle::new(runtime);
        let namespaces = &mut hosts_pids.config["linux"]["namespaces"];
        let namespaces = namespaces.as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
        assert_sees_its_own(hosts_pids, stage, &daemon);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_container_of_runc_starts_with_its_own_files() {
    sees_its_own_at_every_stage("runc");
}

/// Makes a bundle as Podman does: the root of its user namespace can search its own root directory, but not
/// the bundle.
fn closed_bundle(runtime: &str) -> (Bundle, tempfile::TempDir) {
    let mut bundle = Bundle::new(runtime).user_namespace();
    let elsewhere = tempfile::tempdir().unwrap();
    let root = elsewhere.path().join("rootfs");
    fs::rename(bundle.rootfs(), &root).unwrap();
    bundle.config["root"]["path"] = json!(root);
    let mode = |path: &Path, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(path, mode).unwrap();
    };
    mode(elsewhere.path(), 0o755);
    mode(bundle.rootfs().parent().unwrap(), 0o700);
    (bundle, elsewhere)
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_container_in_a_user_namespace_that_cannot_read_its_bundle_has_its_own_files() {
    let daemon = Daemon::start();
    for stage in ["createRuntime", "createContainer"] {
        let (bundle, _root) = closed_bundle("runc");
        assert_sees_its_own(bundle, stage, &daemon);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_of_crun_that_cannot_read_its_bundle_has_its_own_files() {
    let daemon = Daemon::start();
    // crun 1.21 cannot start such a container with a hook of stage createContainer.
    let (bundle, _root) = closed_bundle("crun");
    assert_sees_its_own(bundle, "createRuntime", &daemon);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_of_crun_starts_with_its_own_files() {
    sees_its_own_at_every_stage("crun");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_without_a_limit_keeps_the_hosts_files_unless_it_is_configured() {
    let daemon = Daemon::start();
    let count = "grep -c plimsoll /proc/self/mountinfo || true";
    let mounts = |config: &str| {
        let text = format!(
            "mountpoint = {:?}\nrequire = true\nhook-timeout = \"1m\"\n{config}",
            daemon.mountpoint
        );
        let (_directory, config) = configured(&text);
        let bundle = Bundle::new("crun").unlimited().script(count);
        let text = stdout_of(&bundle.hook(&["--config", &config]).run());
        text.trim().parse::<u32>().unwrap()
    };
    assert_eq!(mounts(""), 0);
    assert!(mounts("unlimited = true") > 5);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroup v2, busybox and crun"]
fn a_container_with_memory_high_alone_sees_that_much_memory() {
    let daemon = Daemon::start();
    let bundle = Bundle::new("crun").only_limit("memory.high", "209715200");
    let bundle = bundle.script("cat /proc/meminfo");
    let view = daemon.mountpoint.to_str().unwrap();
    let text = stdout_of(&bundle.hook(&["--view", view, "--require"]).run());
    assert_eq!(field(&text, "MemTotal"), 200 << 10);
}

fn without_a_daemon(view: &Path, config: &str) -> Output {
    let text = format!("mountpoint = {view:?}\n{config}");
    let (_directory, config) = configured(&text);
    let bundle = Bundle::new("crun").script("cat /proc/meminfo");
    bundle.hook(&["--config", &config]).run()
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_starts_with_the_hosts_files_while_the_daemon_is_down() {
    let output = without_a_daemon(Path::new("/nowhere"), "");
    assert_eq!(field(&stdout_of(&output), "MemTotal"), host_memory_kib());
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_with_required_files_does_not_start_without_them() {
    let output = without_a_daemon(Path::new("/nowhere"), "require = true\n");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_daemon_that_hangs_delays_a_container_by_the_timeout_at_most() {
    let daemon = Daemon::start();
    let serving = daemon.pid();
    stop(daemon.process.id());
    stop(serving);
    let begun = Instant::now();
    let output = without_a_daemon(&daemon.mountpoint, "hook-timeout = \"1s\"\n");
    let took = begun.elapsed();
    kill("CONT", serving);
    kill("CONT", daemon.process.id());
    assert_eq!(field(&stdout_of(&output), "MemTotal"), host_memory_kib());
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, crun and a real CPU"]
fn a_container_that_waits_while_the_daemon_is_slow_gets_its_files_when_the_daemon_answers() {
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "5m"]);
    let view = daemon.mountpoint.to_str().unwrap();
    let serving = daemon.pid();
    stop(serving);
    let (_directory, config) = configured("hook-timeout = \"300ms\"");
    let bundle = Bundle::new("crun").script("exec sleep 1000");
    let bundle = bundle.hook(&["--view", view, "--config", &config]);
    bundle.start();
    let mut attach = plimsoll();
    attach.args(["attach", "--pending", "--view", view, "--config", &config]);
    let attach = attach.stderr(Stdio::piped()).spawn().unwrap();
    // Longer than the timeout of the first attempt.
    std::thread::sleep(Duration::from_secs(1));
    kill("CONT", serving);
    stdout_of(&attach.wait_with_output().unwrap());
    assert_eq!(
        field(&bundle.exec("cat /proc/meminfo"), "MemTotal"),
        64 << 10
    );
}

/// Calls the hook in that bundle from a mount namespace of its own, as no runtime does. Prints the mounts.
fn call_inside(bundle: &Path, view: &Path, prepare: &str) -> Output {
    let program = plimsoll().get_program().to_owned();
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-ec"]);
    command.arg(format!(
        "{prepare}\ncd /; rc=0; \"$0\" hook --view {} --unlimited --require --hook-timeout 1m || rc=$?\n\
         grep plimsoll /proc/self/mountinfo | cut -d' ' -f5 | grep ^{} || true; exit $rc",
        view.display(),
        bundle.display()
    ));
    command.arg(program);
    call(command, 0, bundle)
}

/// Runs a command that calls the hook, with the state of a container in that bundle as its input.
fn call(mut command: Command, pid: u32, bundle: &Path) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let state = json!({"ociVersion": "1.0.2", "id": "box", "pid": pid, "bundle": bundle});
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(state.to_string().as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// A process in a mount namespace of its own, like the first one of a container that is being created.
pub(crate) struct Made(Child);

impl Made {
    /// Starts a process that runs the script and then waits.
    pub(crate) fn by(script: &str) -> Made {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-ec"]);
        command.arg(format!("{script}\necho; exec cat"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut made = [0];
        let stdout = child.stdout.as_mut().unwrap();
        std::io::Read::read_exact(stdout, &mut made).unwrap();
        Made(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// Calls the hook from the outside of the container of that process.
fn call_outside(pid: u32, bundle: &Path, view: &Path) -> Output {
    let mut command = plimsoll();
    command.args(["hook", "--unlimited", "--require", "--hook-timeout", "1m"]);
    command.arg("--view").arg(view);
    call(command, pid, bundle)
}

/// Lists the mount points of the view that a process has at or below a path.
fn ours(pid: u32, place: &Path) -> Vec<PathBuf> {
    let mounts = plimsoll::base::mountinfo::of(plimsoll::base::units::Pid(pid))
        .unwrap()
        .into_iter();
    let ours = mounts.filter(|mount| mount.kind == plimsoll::base::paths::FS_TYPE);
    let points = ours.map(|mount| mount.point);
    points.filter(|point| point.starts_with(place)).collect()
}

/// Asserts that the hook failed with one line that contains `said`.
fn assert_refused(what: &str, output: &Output, said: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{what}: {error}");
    assert!(error.contains(said), "{what}: {error}");
    assert_eq!(error.lines().count(), 1, "{what}: {error}");
}

/// Makes the root of a bundle anew as runtimes do, as a mount of its own, in a new process.
fn remade(bundle: &tempfile::TempDir, prepare: &str) -> (PathBuf, Made) {
    let rootfs = bundle.path().join("rootfs");
    fs::remove_dir_all(&rootfs).unwrap();
    fs::create_dir(&rootfs).unwrap();
    let path = rootfs.display();
    let made = Made::by(&format!("mount --bind {path} {path}\n{prepare}"));
    (rootfs, made)
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_hostile_root_gets_nothing_mounted_in_a_wrong_place_and_one_line_says_so() {
    let daemon = Daemon::start();
    for (what, prepare, said) in [
        (
            "a link for /proc",
            "ln -s /proc rootfs/proc",
            "cannot open /proc/meminfo in the container",
        ),
        (
            "a directory for /proc",
            "mkdir rootfs/proc; echo > rootfs/proc/meminfo",
            "/proc/meminfo in the container is not the kernel's own file",
        ),
        (
            "a tmpfs over /proc",
            "mkdir rootfs/proc; mount -t tmpfs x rootfs/proc; ln -s /etc/passwd rootfs/proc/meminfo; touch rootfs/proc/stat",
            "/proc/meminfo in the container is not the kernel's own file",
        ),
        (
            "a file of the host over a file of /proc",
            "mkdir rootfs/proc; mount -t proc x rootfs/proc; touch file; mount --bind file rootfs/proc/meminfo",
            "/proc/meminfo in the container is not the kernel's own file",
        ),
        (
            "the host's own /proc, shared with it",
            "mkdir rootfs/proc; mount --make-shared /proc; mount --bind /proc rootfs/proc",
            "lies in a mount that it shares with others",
        ),
    ] {
        let bundle = tempfile::tempdir().unwrap();
        fs::create_dir(bundle.path().join("rootfs")).unwrap();
        let config = json!({"root": {"path": "rootfs"}}).to_string();
        fs::write(bundle.path().join("config.json"), config).unwrap();
        let prepare = format!("cd {}; {prepare}", bundle.path().display());
        let output = call_inside(bundle.path(), &daemon.mountpoint, &prepare);
        assert_refused(what, &output, said);
        let mounted = String::from_utf8_lossy(&output.stdout);
        assert!(!mounted.contains("meminfo"), "{what}: {mounted}");

        let (rootfs, outside) = remade(&bundle, &prepare);
        let output = call_outside(outside.0.id(), bundle.path(), &daemon.mountpoint);
        assert_refused(what, &output, said);
        let mounted = ours(outside.0.id(), bundle.path());
        let meminfo = rootfs.join("proc/meminfo");
        assert!(!mounted.contains(&meminfo), "{what}: {mounted:?}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and busybox"]
fn a_hook_with_the_pid_of_another_process_changes_nothing() {
    let daemon = Daemon::start();
    let bundle = tempfile::tempdir().unwrap();
    let (rootfs, other) = (bundle.path().join("rootfs"), bundle.path().join("other"));
    fs::create_dir(&rootfs).unwrap();
    fs::create_dir_all(other.join("proc")).unwrap();
    let config = json!({"root": {"path": "rootfs"}}).to_string();
    fs::write(bundle.path().join("config.json"), config).unwrap();
    let with_proc = |at: &Path| {
        let at = at.display();
        format!("mkdir -p {at}/proc; mount -t proc x {at}/proc")
    };
    // One process has the host's root, without the mounts of the container. The other one has another root.
    let hosts = Made::by(&with_proc(&rootfs));
    fs::copy(busybox(), other.join("busybox")).unwrap();
    let path = other.display();
    let another = Made::by(&format!(
        "{}; exec chroot {path} /busybox sh -c 'echo; exec /busybox cat'",
        with_proc(&other)
    ));
    for (pid, said) in [
        (1, "cannot open"),
        (hosts.0.id(), "cannot open"),
        (another.0.id(), "has the mounts of another container"),
    ] {
        let output = call_outside(pid, bundle.path(), &daemon.mountpoint);
        assert_refused(said, &output, said);
        for place in [bundle.path(), Path::new("/proc/meminfo")] {
            assert_eq!(ours(pid, place), [] as [PathBuf; 0], "{said}");
        }
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_container_without_proc_gets_no_file_and_starts() {
    let daemon = Daemon::start();
    let bundle = tempfile::tempdir().unwrap();
    fs::create_dir(bundle.path().join("rootfs")).unwrap();
    let config = json!({"root": {"path": "rootfs"}}).to_string();
    fs::write(bundle.path().join("config.json"), config).unwrap();
    assert_eq!(
        stdout_of(&call_inside(bundle.path(), &daemon.mountpoint, "")),
        ""
    );
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_waiting_container_gets_its_files_by_the_configuration_of_the_daemon() {
    let view = tempfile::tempdir().unwrap();
    let text = format!(
        "mountpoint = {:?}\nunlimited = true\nhook-timeout = \"1m\"\n",
        view.path()
    );
    let (_directory, config) = configured(&text);
    let bundle = Bundle::new("crun").unlimited().script("exec sleep 1000");
    let bundle = bundle.hook(&["--config", &config]);
    let pid = bundle.start();
    let _daemon = Daemon::with(view.path().to_owned(), &["--config", &config]);
    wait_until("the container has its files", || {
        let mounts = plimsoll::base::mountinfo::of(plimsoll::base::units::Pid(pid)).unwrap();
        mounts
            .iter()
            .any(|mount| mount.kind == plimsoll::base::paths::FS_TYPE)
    });
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_started_without_a_daemon_gets_its_files_when_one_starts() {
    let view = tempfile::tempdir().unwrap();
    let text = format!("mountpoint = {:?}\nhook-timeout = \"1m\"\n", view.path());
    let (_directory, config) = configured(&text);
    let bundle = Bundle::new("crun")
        .script("exec sleep 1000")
        .hook(&["--config", &config]);
    bundle.start();
    assert_eq!(
        field(&bundle.exec("cat /proc/meminfo"), "MemTotal"),
        host_memory_kib()
    );
    let _daemon = Daemon::on(view.path().to_owned());
    wait_until("the container has its files", || {
        field(&bundle.exec("cat /proc/meminfo"), "MemTotal") == 64 << 10
    });
}
