//! Containers of LXC, with the hook of Plimsoll and with that of lxcfs.

use crate::harness::{
    Daemon, busybox_root, field, host_memory_kib, is_v2,
    oci::{configured, patiently},
    plimsoll, stdout_of, wait_until,
};
use std::{fs, path::PathBuf, process::Command};

/// A container of LXC with a busybox for its root. Gone when dropped.
struct Container {
    directory: tempfile::TempDir,
    name: String,
}

impl Container {
    /// Starts a container of 64 MB that sleeps, with that hook.
    fn start(hook: &str) -> Container {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().file_name().unwrap().to_str().unwrap();
        let name = format!("plimsoll-test-{}", name.trim_start_matches('.'));
        let own = directory.path().join(&name);
        let rootfs = own.join("rootfs");
        fs::create_dir_all(&rootfs).unwrap();
        busybox_root(&rootfs);
        for name in ["proc", "sys", "dev"] {
            fs::create_dir(rootfs.join(name)).unwrap();
        }
        let memory = match is_v2() {
            true => "lxc.cgroup2.memory.max",
            false => "lxc.cgroup.memory.limit_in_bytes",
        };
        let config = format!(
            "lxc.uts.name = {name}\nlxc.rootfs.path = dir:{}\nlxc.net.0.type = none\n\
             lxc.mount.auto = proc:mixed sys:ro\nlxc.apparmor.profile = unconfined\n\
             {memory} = 67108864\nlxc.hook.mount = {hook}\n\
             lxc.init.cmd = /bin/busybox sleep 1000\n",
            rootfs.display()
        );
        fs::write(own.join("config"), config).unwrap();
        let container = Container { directory, name };
        let log = container.directory.path().join("log");
        let mut command = container.command("lxc-start");
        command.arg("-o").arg(&log).args(["-l", "DEBUG"]);
        let output = command.output().unwrap();
        let log = fs::read_to_string(&log).unwrap_or_default();
        assert!(output.status.success(), "{log}");
        container
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-P").arg(self.directory.path());
        command.args(["-n", &self.name]);
        command
    }

    /// Returns the content of a file in the container.
    fn file(&self, path: &str) -> String {
        let mut command = self.command("lxc-attach");
        command.args(["--", "/bin/busybox", "cat", path]);
        stdout_of(&command.output().unwrap())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.command("lxc-stop").arg("-k").output();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and lxc-start"]
fn a_container_of_lxc_starts_with_its_own_files_by_the_hook() {
    let daemon = Daemon::start();
    let program = plimsoll().get_program().to_str().unwrap().to_owned();
    let view = daemon.mountpoint.display();
    let hook = format!("{program} hook --lxc --require --hook-timeout 1m --view {view}");
    let container = Container::start(&hook);
    assert_eq!(
        field(&container.file("/proc/meminfo"), "MemTotal"),
        64 << 10
    );
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, lxc-start and /usr/share/lxcfs/lxc.mount.hook"]
fn the_hook_of_lxcfs_mounts_the_files_of_a_daemon_in_the_place_of_lxcfs() {
    let place = PathBuf::from("/var/lib/lxcfs");
    fs::create_dir_all(&place).unwrap();
    let _daemon = Daemon::on(place);
    let container = Container::start("/usr/share/lxcfs/lxc.mount.hook");
    assert_eq!(
        field(&container.file("/proc/meminfo"), "MemTotal"),
        64 << 10
    );
    let mounts = container.file("/proc/self/mountinfo");
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let points: Vec<_> = points.filter(|at| at.starts_with("/sys/devices")).collect();
    assert_eq!(points, ["/sys/devices/system/cpu"], "{mounts}");
    assert_eq!(container.file("/sys/devices/system/cpu/uevent"), "");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and lxc-start"]
fn a_running_container_of_lxc_gets_its_files_by_name() {
    let daemon = Daemon::start();
    let container = Container::start("/bin/true");
    let view = daemon.mountpoint.to_str().unwrap();
    stdout_of(&patiently(&["attach", "--view", view, &container.name]));
    wait_until("the container has its files", || {
        field(&container.file("/proc/meminfo"), "MemTotal") == 64 << 10
    });
    stdout_of(&patiently(&["detach", &container.name]));
    assert!(field(&container.file("/proc/meminfo"), "MemTotal") > 64 << 10);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and lxc-start"]
fn a_container_of_lxc_whose_name_is_left_out_keeps_the_hosts_files() {
    let daemon = Daemon::start();
    let program = plimsoll().get_program().to_str().unwrap().to_owned();
    let view = daemon.mountpoint.display();
    let (_directory, config) = configured("leave-out.names = [\"plimsoll-test-*\"]\n");
    let hook = format!("{program} hook --lxc --require --view {view} --config {config}");
    let container = Container::start(&hook);
    let total = field(&container.file("/proc/meminfo"), "MemTotal");
    assert_eq!(total, host_memory_kib());
    let mut command = plimsoll();
    command.args(["attach", "--config", &config, "--view"]);
    let output = command
        .arg(&daemon.mountpoint)
        .arg(&container.name)
        .output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("left out by leave-out.names"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
