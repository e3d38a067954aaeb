//! Processes in a container that have mount namespaces of their own, as systemd's services have with
//! `ProtectProc=`.

use crate::{
    harness::oci::configured,
    harness::{Cgroup, Daemon, children, field, host_memory_kib, plimsoll, stdout_of, wait_until},
};
use plimsoll::base::paths::ATTACHED_NOTES;
use std::{
    fs,
    process::{Child, Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

const LIMIT_KIB: u64 = 256 << 10;

/// A container with that memory, whose cgroup has a name as of Podman. Ends when dropped.
struct Running {
    id: String,
    shell: Child,
    _cgroups: [Cgroup; 2],
}

impl Running {
    fn start(script: &str) -> Running {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let id = format!("{number:04x}{:08x}", std::process::id()) + &"b8".repeat(26);
        let outer = Cgroup::new();
        let cgroup = outer.child(&format!("libpod-{id}"));
        cgroup.limit_memory(LIMIT_KIB << 10);
        let join = cgroup.join("$$");
        let script =
            format!("{join} exec unshare -pfm --kill-child --mount-proc sh -c \"{script}\"");
        let shell = Command::new("sh").args(["-ec", &script]).spawn().unwrap();
        Running {
            id,
            shell,
            _cgroups: [cgroup, outer],
        }
    }

    fn init(&self) -> u32 {
        let init = || children(self.shell.id()).first().copied();
        wait_until("the container runs", || init().is_some());
        init().unwrap()
    }

    /// Returns the process of the container with a procfs of its own.
    fn service(&self) -> u32 {
        let init = self.init();
        let service = || children(init).first().copied().unwrap_or_default();
        wait_until("the service has its procfs", || {
            let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", service()));
            mounts.unwrap_or_default().contains(" - proc fresh ")
        });
        service()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let init = children(self.shell.id());
        self.shell.kill().unwrap();
        self.shell.wait().unwrap();
        wait_until("the container has ended", || {
            init.iter()
                .all(|init| !fs::exists(format!("/proc/{init}")).unwrap())
        });
        // An attach leaves a note for doctor, which outlives the container.
        let note = format!("{ATTACHED_NOTES}/podman-{}", self.id);
        let _ = fs::remove_file(note);
        let _ = fs::remove_dir(ATTACHED_NOTES);
    }
}

fn act(action: &[&str], pid: u32) -> Output {
    let (_directory, config) = configured("hook-timeout = \"1m\"");
    let mut command = plimsoll();
    command.args(action).args(["--config", &config]);
    command.args(["--pid", &pid.to_string()]);
    command.output().unwrap()
}

fn attach(daemon: &Daemon, pid: u32) -> Output {
    act(
        &["attach", "--view", daemon.mountpoint.to_str().unwrap()],
        pid,
    )
}

/// Returns the output of a command in the mount and pid namespaces of a process.
fn within(pid: u32, command: &[&str]) -> String {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["-t", &pid.to_string(), "-m", "-p"]);
    stdout_of(&nsenter.args(command).output().unwrap())
}

/// Returns MemTotal in the mount namespace of a process, in KiB.
fn total(pid: u32) -> u64 {
    field(&within(pid, &["cat", "/proc/meminfo"]), "MemTotal")
}

const SERVICE: &str = "\
unshare -m sh -c 'mount -t proc fresh /proc; exec sleep 1000' &
exec sleep 1000";

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_service_with_a_procfs_of_its_own_gets_the_view_of_its_container_and_loses_it() {
    let daemon = Daemon::start();
    let container = Running::start(SERVICE);
    let (pid, service) = (container.init(), container.service());
    assert_eq!(total(service), host_memory_kib());

    stdout_of(&attach(&daemon, pid));
    assert_eq!([total(pid), total(service)], [LIMIT_KIB; 2]);
    let said = stdout_of(&attach(&daemon, pid));
    assert!(said.contains("has its files"), "{said}");
    let findings = || {
        let output = plimsoll().arg("doctor").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let finding = format!("process {service} in container {}", &container.id[..12]);
    let found = findings();
    assert!(!found.contains(&finding), "{found}");

    within(service, &["mount", "-t", "proc", "later", "/proc"]);
    assert_eq!(total(service), host_memory_kib());
    let found = findings();
    assert!(found.contains(&finding), "{found}");
    stdout_of(&attach(&daemon, pid));
    assert_eq!(total(service), LIMIT_KIB);
    let found = findings();
    assert!(!found.contains(&finding), "{found}");

    stdout_of(&act(&["detach"], pid));
    assert_eq!([total(pid), total(service)], [host_memory_kib(); 2]);
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_stopped_daemon_leaves_no_file_in_the_mount_namespace_of_a_service() {
    let daemon = Daemon::start();
    let container = Running::start(SERVICE);
    let (pid, service) = (container.init(), container.service());
    stdout_of(&attach(&daemon, pid));
    assert_eq!(total(service), LIMIT_KIB);
    daemon.signal("TERM");
    wait_until("the service has none of our files", || {
        let mounts = fs::read_to_string(format!("/proc/{service}/mountinfo")).unwrap();
        !mounts.contains("fuse.plimsoll")
    });
    assert_eq!(total(service), host_memory_kib());
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and a real CPU"]
fn a_container_with_hundreds_of_mount_namespaces_is_attached_and_one_problem_says_what_is_left() {
    let daemon = Daemon::start();
    let container =
        Running::start("for i in \\$(seq 300); do unshare -m sleep 1000 & done; exec sleep 1000");
    let pid = container.init();
    wait_until("every process sleeps", || {
        let is_asleep = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n")
        };
        let all = children(pid);
        all.len() == 300 && all.iter().all(is_asleep)
    });
    let output = attach(&daemon, pid);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("more mount namespaces than 256"), "{said}");
    assert_eq!(total(pid), LIMIT_KIB);
}
