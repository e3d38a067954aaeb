//! Containers that are left out of the view, and parts of a container that are the host's.

use crate::harness::{
    Daemon, field, host_memory_kib,
    oci::{Bundle, configured},
    plimsoll, stdout_of,
};
use serde_json::{Value, json};
use std::{fs, process::Output};

const READ: &str = "cat /proc/meminfo /sys/devices/system/cpu/online";

/// The file with the CPUs of the host.
const ONLINE: &str = "/sys/devices/system/cpu/online";

fn hosts_online() -> String {
    fs::read_to_string(ONLINE).unwrap()
}

/// The text of a configuration for that daemon, with these lines more.
fn config(daemon: &Daemon, more: &str) -> String {
    let view = &daemon.mountpoint;
    format!("mountpoint = {view:?}\nhook-timeout = \"1m\"\nrequire = true\n{more}\n")
}

/// Returns MemTotal and the CPUs of a container that starts with the hook and that configuration.
fn started(bundle: Bundle, stage: &str, config: &str) -> (u64, String) {
    let (_directory, config) = configured(config);
    let bundle = bundle
        .script(READ)
        .hook_at(stage, &["--config", config.as_str()]);
    let text = stdout_of(&bundle.run());
    let online = text.lines().last().unwrap().to_owned() + "\n";
    (field(&text, "MemTotal"), online)
}

fn hosts() -> (u64, String) {
    (host_memory_kib(), hosts_online())
}

fn own() -> (u64, String) {
    (64 << 10, "0\n".to_owned())
}

fn is_left_out_by_its_annotation_and_by_the_configuration(runtime: &str) {
    let daemon = Daemon::start();
    for stage in ["createRuntime", "createContainer"] {
        let mut declines = Bundle::new(runtime);
        declines.config["annotations"] = json!({"plimsoll.io/view": "false"});
        assert_eq!(started(declines, stage, &config(&daemon, "")), hosts());
        for (table, expected) in [
            ("images = [\"*/cadvisor\"]", hosts()),
            ("namespaces = [\"kube-*\"]", hosts()),
            ("names = [\"plimsoll-test-*\"]", hosts()),
            ("names = [\"web\"]\nimages = [\"cadvisor\"]", own()),
        ] {
            let mut bundle = Bundle::new(runtime);
            bundle.config["annotations"] = json!({
                "io.kubernetes.cri.image-name": "gcr.io/cadvisor/cadvisor:v0.49.1",
                "io.kubernetes.cri.sandbox-namespace": "kube-system",
            });
            let config = config(&daemon, &format!("[leave-out]\n{table}"));
            assert_eq!(started(bundle, stage, &config), expected, "{stage} {table}");
        }
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_of_crun_is_left_out_by_its_annotation_and_by_the_configuration() {
    is_left_out_by_its_annotation_and_by_the_configuration("crun");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_container_of_runc_is_left_out_by_its_annotation_and_by_the_configuration() {
    is_left_out_by_its_annotation_and_by_the_configuration("runc");
}

fn attach(config: &str, args: &[&str]) -> Output {
    let (_directory, config) = configured(config);
    let mut command = plimsoll();
    command.args(["attach", "--config", &config]).args(args);
    command.output().unwrap()
}

fn is_attached_by_force_alone(runtime: &str) {
    let daemon = Daemon::start();
    let config = config(&daemon, "");
    let mut bundle = Bundle::new(runtime).script("exec sleep 1000");
    bundle.config["annotations"] = json!({"plimsoll.io/view": "false"});
    let pid = bundle.start().to_string();
    let total = || field(&bundle.exec("cat /proc/meminfo"), "MemTotal");

    let said = "left out by the annotation plimsoll.io/view=false; --force attaches it";
    for args in [
        &["--pid", &pid][..],
        &["--pid", &pid, "--dry-run"],
        &[&bundle.id],
    ] {
        let output = attach(&config, args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(said) && text.lines().count() == 1, "{text}");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
    }
    // The exit status is also that of the containers of other tests.
    let output = attach(&config, &["--all", "--dry-run", "-o", "json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let row = rows
        .iter()
        .find(|row| row["pid"].as_u64() == pid.parse().ok());
    let row = row.unwrap_or_else(|| panic!("{text}"));
    assert_eq!(row["state"], "left out");
    assert_eq!(row["left_out"], "the annotation plimsoll.io/view=false");
    assert_eq!(row["problems"], json!([]));
    assert_eq!(total(), host_memory_kib());

    stdout_of(&attach(&config, &["--pid", &pid, "--force"]));
    assert_eq!(total(), 64 << 10);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_of_crun_that_is_left_out_is_attached_by_force_alone() {
    is_attached_by_force_alone("crun");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_container_of_runc_that_is_left_out_is_attached_by_force_alone() {
    is_attached_by_force_alone("runc");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_that_waits_for_its_files_gets_none_once_the_configuration_leaves_it_out() {
    let mut daemon = Daemon::start();
    let view = daemon.mountpoint.clone();
    let text = format!("mountpoint = {view:?}\n");
    daemon.kill();
    let (_directory, path) = configured(&text);
    let bundle = Bundle::new("crun").script("exec sleep 1000");
    let bundle = bundle.hook(&["--config", path.as_str()]);
    bundle.start();
    let total = || field(&bundle.exec("cat /proc/meminfo"), "MemTotal");
    let noted = || fs::read_dir("/run/plimsoll/waiting").unwrap().count();
    assert_eq!((total(), noted() > 0), (host_memory_kib(), true));
    let out = format!("{text}leave-out.names = [{:?}]\n", bundle.id);
    let output = attach(&out, &["--pending"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(total(), host_memory_kib());
    // A daemon that starts now finds no note.
    let _daemon = Daemon::on(view);
    let left = fs::read_dir("/run/plimsoll/waiting").unwrap();
    let left: Vec<_> = left
        .flatten()
        .map(|note| fs::read_to_string(note.path()))
        .collect();
    let is_ours = |text: &String| text.contains(&bundle.id);
    assert!(!left.iter().flatten().any(is_ours), "{left:?}");
}

/// Replaces the mount at `path` by a bind of the host's.
fn bind(bundle: &mut Bundle, path: &str, options: &[&str]) {
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != path);
    let mount = json!({"destination": path, "type": "bind", "source": path, "options": options});
    mounts.insert(1, mount);
}

fn keeps_the_hosts_sys_beside_its_own_proc(runtime: &str) {
    let daemon = Daemon::start();
    let config = config(&daemon, "");
    let expected = (64 << 10, hosts_online());
    for stage in ["createRuntime", "createContainer"] {
        let mut bundle = Bundle::new(runtime);
        bind(&mut bundle, "/sys", &["rbind", "ro", "rprivate"]);
        assert_eq!(started(bundle, stage, &config), expected, "{stage}");
    }
    let mut bundle = Bundle::new(runtime).script("exec sleep 1000");
    bind(&mut bundle, "/sys", &["rbind", "ro", "rprivate"]);
    let pid = bundle.start().to_string();
    stdout_of(&attach(&config, &["--pid", &pid]));
    let text = bundle.exec(READ);
    let online = text.lines().last().unwrap().to_owned() + "\n";
    assert_eq!((field(&text, "MemTotal"), online), expected);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn a_container_of_crun_keeps_the_hosts_sys_that_it_was_given_beside_its_own_proc() {
    keeps_the_hosts_sys_beside_its_own_proc("crun");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and a real CPU"]
fn a_container_of_runc_keeps_the_hosts_sys_that_it_was_given_beside_its_own_proc() {
    keeps_the_hosts_sys_beside_its_own_proc("runc");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox and crun"]
fn an_engines_substitute_for_a_sys_of_the_containers_own_is_served() {
    let daemon = Daemon::start();
    let mut bundle = Bundle::new("crun").user_namespace();
    // As Podman without root, with --net host.
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut();
    namespaces.unwrap().retain(|one| one["type"] != "network");
    let options = ["rprivate", "nosuid", "noexec", "nodev", "ro", "rbind"];
    bind(&mut bundle, "/sys", &options);
    let found = started(bundle, "createRuntime", &config(&daemon, ""));
    assert_eq!(found, own());
}
