//! Containers of real OCI runtimes that start, or run, while a plugin serves their runtime.

use super::{
    Plugin,
    runtime::{FakeRuntime, Field, Peer, StartCall, inner, packed, send_start, text},
};
use crate::harness::{
    Daemon, children, field, host_memory_kib, kill,
    oci::{Bundle, configured},
    stop, wait_until,
};
use nix::mount::{MsFlags, mount, umount};
use serde_json::json;
use std::{
    fs,
    time::{Duration, Instant},
};

/// The memory of a container, in KiB.
const OWN: u64 = 64 << 10;

/// The first instruction of a container keeps what it sees.
const FIRST: &str = "cat /proc/meminfo > /tmp/first; exec sleep 1000";

/// Returns the description of a pod, with those annotations and that runtime class.
fn pod(annotations: &[(&str, &str)], handler: &str) -> Vec<Field> {
    let mut pod = vec![text(1, "sandbox"), text(2, "shop"), text(4, "default")];
    for (key, value) in annotations {
        pod.push(inner(6, &[text(1, key), text(2, value)]));
    }
    pod.push(text(7, handler));
    pod
}

/// Returns the description of a container.
fn container(bundle: &Bundle, pid: u32) -> Vec<Field> {
    let cgroup = format!("/{}", bundle.id);
    vec![
        text(1, &bundle.id),
        text(2, "sandbox"),
        text(3, "web"),
        inner(11, &[inner(1, &[text(1, "pid")]), text(5, &cgroup)]),
        Field::Number(12, pid.into()),
    ]
}

/// Returns MemTotal of the container's first moment, in KiB.
fn first_total(bundle: &Bundle) -> u64 {
    wait_until("the container has written its file", || {
        bundle
            .exec("cat /tmp/first 2>/dev/null || true")
            .contains("MemTotal")
    });
    field(&bundle.exec("cat /tmp/first"), "MemTotal")
}

/// Returns MemTotal in a container now, in KiB.
fn total(bundle: &Bundle) -> u64 {
    field(&bundle.exec("cat /proc/meminfo"), "MemTotal")
}

/// Creates a container, tells the plugin of its start, and starts it when the plugin has answered, as a
/// runtime does. Returns the time up to the answer.
fn start(peer: &mut Peer, call: StartCall, pod: &[Field], bundle: &Bundle) -> Duration {
    let pid = bundle.create();
    let begun = Instant::now();
    let stream = send_start(peer, call, pod, &container(bundle, pid));
    assert_eq!(peer.answer(stream), b"");
    let taken = begun.elapsed();
    bundle.start_created();
    taken
}

/// A daemon that hangs until this is dropped.
struct Hang(u32);

impl Hang {
    fn of(daemon: &Daemon) -> Hang {
        let pid = daemon.pid();
        stop(pid);
        Hang(pid)
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        kill("CONT", self.0);
    }
}

fn sees_its_own_machine_from_the_first_instruction_on(runtime: &str) {
    let daemon = Daemon::start();
    let fake = FakeRuntime::new();
    let _plugin = Plugin::start(&fake, &daemon.mountpoint);
    let mut peer = fake.registered();
    for call in [StartCall::StateChange, StartCall::Dedicated] {
        let bundle = Bundle::new(runtime).script(FIRST);
        start(&mut peer, call, &pod(&[], ""), &bundle);
        assert_eq!(first_total(&bundle), OWN, "{call:?}");
        assert_eq!(bundle.exec("cat /sys/devices/system/cpu/online"), "0\n");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_of_crun_sees_its_own_machine_from_its_first_instruction_on_by_nri() {
    sees_its_own_machine_from_the_first_instruction_on("crun");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_container_of_runc_sees_its_own_machine_from_its_first_instruction_on_by_nri() {
    sees_its_own_machine_from_the_first_instruction_on("runc");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_runs_gets_its_files_when_a_runtime_lists_it() {
    let daemon = Daemon::start();
    let bundles = [0, 1].map(|_| Bundle::new("crun").script("exec sleep 1000"));
    let pids = [bundles[0].start(), bundles[1].start()];
    let fake = FakeRuntime::new();
    let _plugin = Plugin::start(&fake, &daemon.mountpoint);
    let mut peer = fake.accept();
    let stream = peer.registration().0;
    peer.accept_registration(stream);
    peer.configure();
    // The second container has ended, and its pid is another container's by now.
    let gone = Bundle::new("crun");
    let list = packed(&[
        inner(1, &pod(&[], "")),
        inner(2, &container(&bundles[0], pids[0])),
        inner(2, &container(&gone, pids[1])),
    ]);
    assert_eq!(peer.call("Synchronize", &list), b"");
    wait_until("the container has its files", || total(&bundles[0]) == OWN);
    assert_eq!(total(&bundles[1]), host_memory_kib());
}

/// Mounts of the host, so many that `mountinfo` takes more than one read. Gone when dropped.
struct ManyMounts(tempfile::TempDir);

const MOUNTS: usize = 200;

impl ManyMounts {
    fn new() -> ManyMounts {
        let directory = tempfile::tempdir().unwrap();
        let (none, flags) = (None::<&str>, MsFlags::empty());
        for _ in 0..MOUNTS {
            mount(Some("test"), directory.path(), Some("tmpfs"), flags, none).unwrap();
        }
        ManyMounts(directory)
    }
}

impl Drop for ManyMounts {
    fn drop(&mut self) {
        for _ in 0..MOUNTS {
            let _ = umount(self.0.path());
        }
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_starts_during_the_work_of_a_list_has_its_files_at_once() {
    let _mounts = ManyMounts::new();
    let daemon = Daemon::start();
    let fake = FakeRuntime::new();
    let _plugin = Plugin::start(&fake, &daemon.mountpoint);
    let mut peer = fake.registered();
    let running = Bundle::new("crun").script("exec sleep 1000");
    let entry = container(&running, running.start());
    let list = packed(&[inner(1, &pod(&[], "")), inner(2, &entry)]);
    let totals = (0..30).map(|_| {
        let bundle = Bundle::new("crun").script(FIRST);
        let own = container(&bundle, bundle.create());
        let listed = peer.send_call("Synchronize", &list);
        let call = StartCall::Dedicated;
        let started = send_start(&mut peer, call, &pod(&[], ""), &own);
        assert_eq!(
            (peer.answer(listed), peer.answer(started)),
            Default::default()
        );
        bundle.start_created();
        first_total(&bundle)
    });
    assert_eq!(totals.collect::<Vec<_>>(), [OWN; 30]);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_is_left_out_starts_with_the_hosts_files_by_nri() {
    let daemon = Daemon::start();
    let fake = FakeRuntime::new();
    let config = format!(
        "mountpoint = {:?}\n[leave-out]\nnamespaces = [\"kube-*\"]\n",
        daemon.mountpoint
    );
    let (_directory, config) = configured(&config);
    let _plugin = Plugin::with(&fake, &daemon.mountpoint, &["--config", &config]);
    let mut peer = fake.registered();
    let mut hosts_pids = Bundle::new("crun");
    let namespaces = hosts_pids.config["linux"]["namespaces"].as_array_mut();
    namespaces
        .unwrap()
        .retain(|one| one["type"] != json!("pid"));
    let new = || Bundle::new("crun");
    let of_system = vec![text(1, "sandbox"), text(2, "dns"), text(4, "kube-system")];
    for (bundle, pod, expected) in [
        (
            new(),
            pod(&[("plimsoll.io/view", "false")], ""),
            host_memory_kib(),
        ),
        (
            new(),
            pod(&[("view.plimsoll.io/container.web", "false")], ""),
            host_memory_kib(),
        ),
        (
            new(),
            pod(
                &[
                    ("plimsoll.io/view", "false"),
                    ("view.plimsoll.io/container.web", "true"),
                ],
                "",
            ),
            OWN,
        ),
        (
            new(),
            pod(&[("view.plimsoll.io/container.db", "false")], ""),
            OWN,
        ),
        (new(), pod(&[], "kata-qemu"), host_memory_kib()),
        (new(), of_system, host_memory_kib()),
        (new().unlimited(), pod(&[], ""), host_memory_kib()),
        (hosts_pids, pod(&[], ""), host_memory_kib()),
    ] {
        let bundle = bundle.script(FIRST);
        start(&mut peer, StartCall::Dedicated, &pod, &bundle);
        assert_eq!(first_total(&bundle), expected, "{pod:?}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_daemon_that_hangs_delays_a_start_by_half_a_second_and_the_container_gets_its_files_afterwards()
{
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "1h"]);
    let fake = FakeRuntime::new();
    let _plugin = Plugin::start(&fake, &daemon.mountpoint);
    let mut peer = fake.registered();
    let bundle = Bundle::new("crun").script("exec sleep 1000");
    let hang = Hang::of(&daemon);
    let taken = start(&mut peer, StartCall::StateChange, &pod(&[], ""), &bundle);
    // A runtime drops a plugin that has not answered within 2 s.
    let is_bounded = (Duration::from_millis(400)..Duration::from_millis(1900)).contains(&taken);
    assert_eq!(total(&bundle), host_memory_kib());
    drop(hang);
    assert!(is_bounded, "{taken:?}");
    wait_until("the container has its files", || total(&bundle) == OWN);
    assert_eq!(peer.call("Shutdown", &[]), b"");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_starts_while_no_daemon_serves_gets_its_files_from_the_next_daemon() {
    let mountpoint = Daemon::new_mountpoint();
    let fake = FakeRuntime::new();
    let _plugin = Plugin::start(&fake, &mountpoint);
    let mut peer = fake.registered();
    let bundle = Bundle::new("crun").script("exec sleep 1000");
    start(&mut peer, StartCall::Dedicated, &pod(&[], ""), &bundle);
    assert_eq!(total(&bundle), host_memory_kib());
    let _daemon = Daemon::on(mountpoint);
    wait_until("the container has its files", || total(&bundle) == OWN);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_plugin_that_ends_during_a_start_answers_first_and_leaves_no_process() {
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "1h"]);
    let fake = FakeRuntime::new();
    let mut plugin = Plugin::start(&fake, &daemon.mountpoint);
    let mut peer = fake.registered();
    let bundle = Bundle::new("crun").script("exec sleep 1000");
    let pid = bundle.create();
    let hang = Hang::of(&daemon);
    let call = StartCall::StateChange;
    let stream = send_start(&mut peer, call, &pod(&[], ""), &container(&bundle, pid));
    wait_until("the work has begun", || !children(plugin.pid()).is_empty());
    let jobs = children(plugin.pid());
    let status = plugin.end();
    drop(hang);
    assert_eq!((peer.answer(stream), status.code()), (Vec::new(), Some(0)));
    wait_until("the work has ended", || {
        jobs.iter()
            .all(|job| fs::metadata(format!("/proc/{job}")).is_err())
    });
}
