//! Setting engines up and taking it back, on made-up machines.

use crate::harness::{file_tree, plimsoll, stdout_of};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use tempfile::TempDir;

/// A machine with these programs and files.
fn machine(programs: &[&str], files: &[(&str, &str)]) -> TempDir {
    let programs = programs.iter().map(|name| format!("usr/bin/{name}"));
    let programs: Vec<String> = programs.collect();
    let programs = programs.iter().map(|path| (path.as_str(), ""));
    let files: Vec<(&str, &str)> = programs.chain(files.iter().copied()).collect();
    let root = file_tree(&files);
    fs::create_dir_all(root.path().join("var/lib")).unwrap();
    root
}

fn ask(root: &TempDir, line: &str) -> Output {
    let mut command = plimsoll();
    command.args(line.split(' ')).arg("--root").arg(root.path());
    command.output().unwrap()
}

fn done(root: &TempDir, line: &str) -> String {
    stdout_of(&ask(root, line))
}

/// Returns the line in which `install` refuses.
fn refused(root: &TempDir, line: &str) -> String {
    let output = ask(root, line);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// Every path of the machine, with what it holds.
fn everything(root: &TempDir) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut left = vec![root.path().to_owned()];
    let mut found = BTreeMap::new();
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_directory = path.is_dir() && !path.is_symlink();
            let held = (!is_directory).then(|| fs::read(&path).unwrap_or_default());
            if is_directory {
                left.push(path.clone());
            }
            found.insert(path, held);
        }
    }
    found
}

fn text(root: &TempDir, path: &str) -> String {
    fs::read_to_string(root.path().join(path)).unwrap()
}

const DOCKER: (&str, &str) = (
    "etc/docker/daemon.json",
    "{\n    \"log-driver\":\"journald\", \"dns\": [ \"10.0.0.1\" ]\n}",
);
const CONTAINERD: (&str, &str) = (
    "etc/containerd/config.toml",
    "version = 2 # ours\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"pause\"\n",
);
const ENGINES: [&str; 6] = [
    "dockerd",
    "containerd",
    "podman",
    "crio",
    "lxc-start",
    "incusd",
];

#[test]
fn what_install_has_written_uninstall_takes_back_to_the_byte() {
    for files in [&[DOCKER, CONTAINERD][..], &[]] {
        let root = machine(&ENGINES, files);
        let before = everything(&root);
        done(&root, "install --all");
        assert!(text(&root, DOCKER.0).contains("plimsoll-runtime"));
        assert!(text(&root, CONTAINERD.0).contains("plimsoll-runtime"));
        assert!(root.path().join("usr/bin/plimsoll-runtime").is_symlink());
        done(&root, "uninstall --all");
        assert_eq!(everything(&root), before);
    }
}

#[test]
fn installing_twice_changes_nothing_more() {
    let root = machine(&ENGINES, &[DOCKER, CONTAINERD]);
    done(&root, "install --all");
    let once = everything(&root);
    let said = done(&root, "install --all");
    assert_eq!(
        said.matches("nothing to change").count(),
        ENGINES.len(),
        "{said}"
    );
    assert_eq!(everything(&root), once);
}

#[test]
fn a_dry_run_shows_a_patch_and_writes_nothing() {
    let root = machine(&ENGINES, &[DOCKER]);
    let before = everything(&root);
    let patch = done(&root, "install docker --dry-run");
    assert_eq!(everything(&root), before);
    assert!(patch.contains("--- a/etc/docker/daemon.json\n+++ b/etc/docker/daemon.json\n@@ "));
    assert!(
        patch.contains("\n+    \"default-runtime\": \"plimsoll\"\n"),
        "{patch}"
    );
    done(&root, "install docker");
    let patch = done(&root, "uninstall docker --dry-run");
    assert!(
        patch.contains("\n-    \"default-runtime\": \"plimsoll\"\n"),
        "{patch}"
    );
}

#[test]
fn what_others_have_changed_since_stays() {
    let root = machine(&["dockerd"], &[DOCKER]);
    done(&root, "install docker");
    let path = root.path().join(DOCKER.0);
    let changed = text(&root, DOCKER.0).replace("journald", "local");
    fs::write(&path, changed).unwrap();
    done(&root, "uninstall docker");
    let left = text(&root, DOCKER.0);
    assert!(left.contains("\"local\"") && left.contains("[ \"10.0.0.1\" ]"));
    assert!(
        !left.contains("plimsoll") && !left.contains("runtime"),
        "{left}"
    );
}

#[test]
fn an_engine_that_is_set_up_again_after_a_change_is_taken_back_to_that_change() {
    let root = machine(&["dockerd"], &[DOCKER]);
    done(&root, "install docker");
    let path = root.path().join(DOCKER.0);
    fs::write(&path, "{ \"debug\": true }\n").unwrap();
    done(&root, "install docker");
    assert!(text(&root, DOCKER.0).contains("plimsoll"));
    done(&root, "uninstall docker");
    assert_eq!(text(&root, DOCKER.0), "{ \"debug\": true }\n");
}

#[test]
fn a_hook_that_two_engines_need_stays_until_both_are_done_with_it() {
    let root = machine(&["podman", "crio"], &[]);
    let hook = root
        .path()
        .join("usr/share/containers/oci/hooks.d/plimsoll.json");
    done(&root, "install podman crio");
    done(&root, "uninstall podman");
    assert!(hook.exists());
    done(&root, "uninstall crio");
    assert!(!hook.exists());
}

#[test]
fn nothing_is_written_if_one_configuration_cannot_be_edited() {
    let root = machine(&ENGINES, &[("etc/containerd/config.toml", "version = ")]);
    let before = everything(&root);
    let said = refused(&root, "install --all");
    assert!(
        said.contains("cannot edit /etc/containerd/config.toml"),
        "{said}"
    );
    assert_eq!(everything(&root), before);
}

#[test]
fn a_default_runtime_that_nothing_would_call_any_more_is_not_replaced() {
    let nvidia = (DOCKER.0, "{\"default-runtime\": \"nvidia\"}\n");
    let root = machine(&ENGINES, &[nvidia]);
    let said = refused(&root, "install docker");
    assert!(said.contains("the default runtime is nvidia"), "{said}");
    assert_eq!(text(&root, DOCKER.0), nvidia.1);
    let chained = "runtime.path = \"nvidia-container-runtime\"\n";
    let chained = ("etc/plimsoll/config.toml", chained);
    let root = machine(&ENGINES, &[nvidia, chained]);
    done(&root, "install docker");
    assert!(text(&root, DOCKER.0).contains("plimsoll"));
}

#[test]
fn an_engine_that_is_not_there_is_named_in_one_line() {
    let root = machine(&["podman"], &[]);
    let said = refused(&root, "install docker");
    assert_eq!(
        said,
        "plimsoll: docker is not installed here: there is no dockerd\n"
    );
    let all = done(&root, "install --all");
    assert!(all.contains("docker: not installed here\n"), "{all}");
    assert!(all.contains("podman: changed "), "{all}");
}

#[test]
fn programs_are_told_what_was_changed_and_what_must_follow() {
    let root = machine(&["dockerd"], &[]);
    let said = done(&root, "install docker -o json --dry-run");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said[0]["engine"], "docker");
    assert_eq!(said[0]["state"], "changed");
    assert_eq!(said[0]["then"], "systemctl reload docker");
    let files = said[0]["files"].as_array().unwrap();
    let paths: Vec<&str> = files
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["/usr/bin/plimsoll-runtime", "/etc/docker/daemon.json"]
    );
    assert!(!Path::new(&root.path().join("etc")).exists());
}

#[test]
fn lxc_and_incus_are_set_up_where_lxcfs_has_not_done_so() {
    let root = machine(&["lxc-start", "incusd"], &[]);
    done(&root, "install lxc incus");
    done(&root, "uninstall lxc");
    let set = text(&root, "usr/share/lxc/config/common.conf.d/plimsoll.conf");
    assert!(set.contains("lxc.hook.mount = /usr/bin/plimsoll hook --lxc"));

    let lxcfs = ("usr/share/lxc/config/common.conf.d/00-lxcfs.conf", "");
    let root = machine(&["lxc-start", "incusd"], &[lxcfs]);
    let before = everything(&root);
    for engine in ["lxc", "incus"] {
        let said = refused(&root, &format!("install {engine}"));
        assert!(said.contains("plimsoll daemon /var/lib/lxcfs"), "{said}");
    }
    assert_eq!(done(&root, "install --all"), done(&root, "install --all"));
    assert_eq!(everything(&root), before);
}
