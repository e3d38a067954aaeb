//! Containers that CRIU dumps and restores.

use crate::harness::{Daemon, field, file_tree, oci::Bundle, plimsoll, stdout_of, wait_until};
use serde_json::json;
use std::{fs, path::Path};
use tempfile::TempDir;

/// Counts, reads its memory each time, and keeps two files open.
const COUNT: &str = "exec 5</proc/meminfo 6</proc/stat; read line <&5; i=0; \
    while :; do i=$((i+1)); read _ total _ </proc/meminfo; echo $i $total >/tmp/now; sleep 0.05; done";

/// Makes a home directory with the configuration that `plimsoll install criu` writes for that view.
fn home(view: &Path) -> TempDir {
    let config = format!("mountpoint = {:?}\n", view.to_str().unwrap());
    let files = [("usr/sbin/criu", ""), ("etc/plimsoll/config.toml", &config)];
    let root = file_tree(&files);
    fs::create_dir_all(root.path().join("var/lib")).unwrap();
    let mut install = plimsoll();
    install.args(["install", "criu", "--root"]).arg(root.path());
    stdout_of(&install.output().unwrap());
    let read = root.path().join(".criu");
    fs::rename(root.path().join("etc/criu"), read).unwrap();
    root
}

/// Returns the count and the memory in kB that the container has seen last.
fn seen(bundle: &Bundle) -> (u64, u64) {
    let text = bundle.exec("cat /tmp/now");
    let (count, total) = text.trim().split_once(' ').unwrap_or_default();
    (count.parse().unwrap_or(0), total.parse().unwrap_or(0))
}

fn goes_on_with_its_own_files(runtime: &str) {
    let daemon = Daemon::start();
    let home = home(&daemon.mountpoint);
    let images = tempfile::tempdir().unwrap();
    let hook = ["--view", daemon.mountpoint.to_str().unwrap(), "--require"];
    let mut bundle = Bundle::new(runtime).script(COUNT).hook(&hook);
    // As engines mask them, so that nothing needs uncovered copies of /proc and /sys.
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/kcore", "/sys/firmware"]);
    bundle.start();
    wait_until("the container counts", || seen(&bundle).0 > 0);
    let before = seen(&bundle);

    let dumped = bundle.checkpoint(images.path(), home.path());
    assert!(dumped.status.success(), "{}", log(&images, "dump.log"));
    let restored = bundle.restore(images.path(), home.path());
    assert!(restored.success(), "{}", log(&images, "restore.log"));

    wait_until("the container counts on", || seen(&bundle).0 > before.0 + 3);
    assert_eq!(seen(&bundle).1, 64 << 10);
    let held = bundle.exec("cat /proc/1/fd/5");
    assert_eq!(field(&held, "MemTotal"), 64 << 10, "{held}");
    let cpus = bundle.exec("grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online");
    assert_eq!(cpus, "1\n0\n");
}

fn log(images: &TempDir, name: &str) -> String {
    fs::read_to_string(images.path().join(name)).unwrap_or_default()
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, runc and criu"]
fn a_restored_container_of_runc_goes_on_with_its_own_files() {
    goes_on_with_its_own_files("runc");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, busybox, crun and criu"]
fn a_restored_container_of_crun_goes_on_with_its_own_files() {
    goes_on_with_its_own_files("crun");
}
