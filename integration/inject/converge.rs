//! `plimsoll install` under configuration management: a second run changes nothing, and `--check` tells
//! without a write whether a run would change something.

use super::install::{machine, output, snapshot, stdout};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::Output,
};
use tempfile::TempDir;

/// The status of a check that found a change to make.
const WOULD_CHANGE: Option<i32> = Some(2);

/// A machine: its name, its programs and its files.
type Machine = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

/// `config.toml` of containerd in Debian 12 and 13.
const DEBIAN_CONTAINERD: (&str, &str) = (
    "etc/containerd/config.toml",
    r#"version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"#,
);

/// `docker.service` of Debian 12 and 13.
const DEBIAN_DOCKER: (&str, &str) = (
    "usr/lib/systemd/system/docker.service",
    "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd -H fd:// \
     --containerd=/run/containerd/containerd.sock $DOCKER_OPTS\n",
);

/// The hook of lxcfs in Debian 13.
const LXCFS: (&str, &str) = (
    "usr/share/lxc/config/common.conf.d/00-lxcfs.conf",
    "lxc.hook.mount = /usr/share/lxcfs/lxc.mount.hook\nlxc.hook.post-stop = /usr/share/lxcfs/lxc.reboot.hook\n",
);

const MACHINES: [Machine; 5] = [
    (
        "Debian with Docker, as its packages leave it",
        &["dockerd", "containerd", "runc"],
        &[DEBIAN_CONTAINERD, DEBIAN_DOCKER],
    ),
    (
        "a node of Kubernetes with containerd 2",
        &["containerd", "runc"],
        &[(
            "etc/containerd/config.toml",
            "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n",
        )],
    ),
    (
        "a node with Podman, CRI-O and CRIU, which share a directory of hooks",
        &["podman", "crio", "crun", "criu"],
        &[("etc/criu/default.conf", "tcp-established\n")],
    ),
    (
        "a host of LXC and Incus with lxcfs, and Docker beside them",
        &["lxc-start", "incusd", "dockerd"],
        &[
            LXCFS,
            (
                "etc/docker/daemon.json",
                "{\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"], \"features\": {\"cdi\": true}}\n",
            ),
        ],
    ),
    (
        "a host of LXC and Incus alone",
        &["lxc-start", "incusd"],
        &[],
    ),
];

/// Returns the inode and the time of the last write of every path: what a write changes even where the
/// content stays.
fn writes(root: &TempDir) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let paths = snapshot(root).into_keys();
    let stamped = paths.map(|path| {
        let meta = fs::symlink_metadata(&path).unwrap();
        let stamp = (meta.ino(), meta.mtime(), meta.mtime_nsec());
        (path, stamp)
    });
    stamped.collect()
}

/// Runs a line that may write nothing.
#[track_caller]
fn without_a_write(root: &TempDir, line: &str) -> Output {
    let before = writes(root);
    let output = output(root, line);
    assert_eq!(writes(root), before, "{line}");
    output
}

/// Returns the states of all engines that a JSON document has, by engine.
fn states(output: &Output) -> BTreeMap<String, String> {
    let engines: Value = serde_json::from_slice(&output.stdout).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let engines = engines.as_array().unwrap().iter();
    engines
        .map(|engine| (word(&engine["engine"]), word(&engine["state"])))
        .collect()
}

fn has_change(output: &Output) -> bool {
    states(output).values().any(|state| state == "changed")
}

#[test]
fn a_second_run_on_any_machine_changes_nothing_and_a_check_says_so_before_and_after() {
    for (name, programs, files) in MACHINES {
        let root = machine(programs, files);
        let before = snapshot(&root);
        for verb in ["install", "uninstall"] {
            let (run, check) = (
                format!("{verb} --all -o json"),
                format!("{verb} --all --check -o json"),
            );
            let asked = without_a_write(&root, &check);
            assert_eq!(asked.status.code(), WOULD_CHANGE, "{name}: {verb}");
            let first = output(&root, &run);
            assert!(
                first.status.success() && has_change(&first),
                "{name}: {verb}"
            );
            assert_eq!(states(&asked), states(&first), "{name}: {verb}");

            let second = without_a_write(&root, &run);
            assert!(second.status.success(), "{name}: {verb}");
            assert!(!has_change(&second), "{name}: {verb}");
            let asked = without_a_write(&root, &check);
            assert_eq!(asked.status.code(), Some(0), "{name}: {verb}");
            assert_eq!(asked.stdout, second.stdout, "{name}: {verb}");
        }
        let left = snapshot(&root);
        let lost: Vec<_> = before
            .iter()
            .filter(|one| left.get(one.0) != Some(one.1))
            .collect();
        assert!(lost.is_empty(), "{name}: {lost:?}");
    }
}

#[test]
fn a_change_by_somebody_else_is_found_by_a_check_and_taken_back_by_a_run() {
    let root = machine(&["podman"], &[]);
    stdout(&root, "install --all");
    let hook = root
        .path()
        .join("usr/share/containers/oci/hooks.d/plimsoll.json");
    let ours = fs::read(&hook).unwrap();
    fs::write(&hook, "{}").unwrap();
    let asked = without_a_write(&root, "install --all --check");
    assert_eq!(asked.status.code(), WOULD_CHANGE);
    let said = String::from_utf8(asked.stdout).unwrap();
    let expected = "podman: would change /usr/share/containers/oci/hooks.d/plimsoll.json\n";
    assert!(said.contains(expected), "{said}");
    stdout(&root, "install --all");
    assert_eq!(fs::read(&hook).unwrap(), ours);
}

#[test]
fn each_engine_of_the_json_is_changed_unchanged_absent_or_skipped_for_a_reason() {
    let root = machine(&["dockerd", "podman", "lxc-start"], &[LXCFS]);
    stdout(&root, "install podman");
    let run = output(&root, "install --all -o json");
    let expected = [
        ("containerd", "absent"),
        ("crio", "absent"),
        ("criu", "absent"),
        ("docker", "changed"),
        ("incus", "absent"),
        ("lxc", "skipped"),
        ("podman", "unchanged"),
    ];
    let expected = expected.map(|(engine, state)| (engine.to_owned(), state.to_owned()));
    assert_eq!(states(&run), BTreeMap::from(expected));
    let engines: Value = serde_json::from_slice(&run.stdout).unwrap();
    for engine in engines.as_array().unwrap() {
        let has_files = !engine["files"].as_array().unwrap().is_empty();
        let (is_changed, is_skipped) = (engine["state"] == "changed", engine["state"] == "skipped");
        assert_eq!(has_files, is_changed, "{engine}");
        assert_eq!(engine.get("reason").is_some(), is_skipped, "{engine}");
        assert_eq!(engine.get("then").is_some(), is_changed, "{engine}");
    }
}

#[test]
fn an_engine_that_shares_a_file_is_changed_by_the_record_alone_and_needs_no_restart() {
    let root = machine(&["podman", "crio"], &[]);
    stdout(&root, "install podman");
    let asked = without_a_write(&root, "install crio --check");
    assert_eq!(asked.status.code(), WOULD_CHANGE);
    let file = "/usr/share/containers/oci/hooks.d/plimsoll.json";
    let said = stdout(&root, "install crio");
    assert!(
        said.starts_with(&format!("crio: changed the record of {file}; ")),
        "{said}"
    );
    assert_eq!(stdout(&root, "install crio"), "crio: nothing to change\n");
    let asked = without_a_write(&root, "uninstall crio --check");
    assert_eq!(asked.status.code(), WOULD_CHANGE);
}

#[test]
fn a_name_that_stays_for_a_container_is_no_change_that_is_left_to_make() {
    let stored = (
        "var/lib/docker/containers/web/hostconfig.json",
        r#"{"Runtime":"plimsoll"}"#,
    );
    let root = machine(&["dockerd", "runc"], &[stored]);
    stdout(&root, "install docker");
    let asked = without_a_write(&root, "uninstall docker --check");
    assert_eq!(asked.status.code(), WOULD_CHANGE);
    stdout(&root, "uninstall docker");
    let asked = without_a_write(&root, "uninstall docker --check -o json");
    assert_eq!(asked.status.code(), Some(0));
    let engines: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(engines[0]["state"], "unchanged");
    assert_eq!(engines[0]["needed_by"][0], "web");
}

#[test]
fn a_check_with_a_dry_run_prints_the_patch_and_has_the_status_of_the_check() {
    let root = machine(&["dockerd"], &[]);
    let dry = without_a_write(&root, "install docker --dry-run");
    let both = without_a_write(&root, "install docker --dry-run --check");
    assert_eq!(
        (dry.status.code(), both.status.code()),
        (Some(0), WOULD_CHANGE)
    );
    assert_eq!(dry.stdout, both.stdout);
    assert!(
        dry.stdout
            .starts_with(b"new file mode 120000\n--- /dev/null\n")
    );
}

#[test]
fn a_check_that_fails_has_the_status_of_an_error() {
    let garbled = ("etc/containerd/config.toml", "version = ");
    let root = machine(&["containerd"], &[garbled]);
    for line in ["install --all --check", "install docker --check"] {
        let asked = without_a_write(&root, line);
        assert_eq!(asked.status.code(), Some(125), "{line}");
        assert!(asked.stdout.is_empty(), "{line}");
    }
}

/// Copies a directory into another one, with its links.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (
            entry.as_ref().unwrap().path(),
            to.join(entry.unwrap().file_name()),
        );
        if path.is_symlink() {
            symlink(fs::read_link(&path).unwrap(), to).unwrap();
        } else if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn an_uninstall_restores_what_each_release_has_installed_before_and_after_an_install() {
    let releases = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/fixtures/releases");
    for release in fs::read_dir(releases).unwrap() {
        let release = release.unwrap().path();
        let [root, before] = ["machine", "machine-before"].map(|name| {
            let root = tempfile::tempdir().unwrap();
            copy(&release.join(name), root.path());
            root
        });
        let content = |root: &TempDir| -> BTreeMap<PathBuf, Option<Vec<u8>>> {
            let paths = snapshot(root).into_iter();
            let relative = |path: &Path| path.strip_prefix(root.path()).unwrap().to_owned();
            paths.map(|(path, held)| (relative(&path), held)).collect()
        };
        let again = tempfile::tempdir().unwrap();
        copy(root.path(), again.path());
        stdout(&again, "install --all");
        for root in [root, again] {
            stdout(&root, "uninstall --all");
            assert_eq!(content(&root), content(&before), "{}", release.display());
        }
    }
}
