//! `plimsoll install` and `uninstall` on directories that stand for machines.

use crate::harness::{file_tree, plimsoll, stdout_of};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use tempfile::TempDir;

/// Makes a machine with these programs and files.
pub(super) fn machine(programs: &[&str], files: &[(&str, &str)]) -> TempDir {
    let programs = programs.iter().map(|name| format!("usr/bin/{name}"));
    let programs: Vec<String> = programs.collect();
    let programs = programs.iter().map(|path| (path.as_str(), ""));
    let files: Vec<(&str, &str)> = programs.chain(files.iter().copied()).collect();
    let root = file_tree(&files);
    fs::create_dir_all(root.path().join("var/lib")).unwrap();
    root
}

/// Runs plimsoll with the words of a line on that machine.
pub(super) fn output(root: &TempDir, line: &str) -> Output {
    let mut command = plimsoll();
    command.args(line.split(' ')).arg("--root").arg(root.path());
    command.output().unwrap()
}

/// Returns the standard output of a line that must succeed.
pub(super) fn stdout(root: &TempDir, line: &str) -> String {
    stdout_of(&output(root, line))
}

/// Returns the one line with which a line is refused.
pub(super) fn refusal(root: &TempDir, line: &str) -> String {
    let output = output(root, line);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// Lists every path of the machine, with the content of files.
pub(super) fn snapshot(root: &TempDir) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
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
fn uninstall_restores_every_byte_that_install_changed() {
    for files in [&[DOCKER, CONTAINERD][..], &[]] {
        let root = machine(&ENGINES, files);
        let before = snapshot(&root);
        stdout(&root, "install --all");
        assert!(text(&root, DOCKER.0).contains("plimsoll-runtime"));
        assert!(text(&root, CONTAINERD.0).contains("plimsoll-runtime"));
        assert!(root.path().join("usr/bin/plimsoll-runtime").is_symlink());
        stdout(&root, "uninstall --all");
        assert_eq!(snapshot(&root), before);
    }
}

#[test]
fn installing_twice_changes_nothing_more() {
    let root = machine(&ENGINES, &[DOCKER, CONTAINERD]);
    stdout(&root, "install --all");
    let once = snapshot(&root);
    let said = stdout(&root, "install --all");
    assert_eq!(
        said.matches("nothing to change").count(),
        ENGINES.len(),
        "{said}"
    );
    assert_eq!(snapshot(&root), once);
}

#[test]
fn a_dry_run_shows_a_patch_and_writes_nothing() {
    let root = machine(&ENGINES, &[DOCKER]);
    let before = snapshot(&root);
    let patch = stdout(&root, "install docker --dry-run");
    assert_eq!(snapshot(&root), before);
    assert!(patch.contains("--- a/etc/docker/daemon.json\n+++ b/etc/docker/daemon.json\n@@ "));
    assert!(
        patch.contains("\n+    \"default-runtime\": \"plimsoll\"\n"),
        "{patch}"
    );
    stdout(&root, "install docker");
    let patch = stdout(&root, "uninstall docker --dry-run");
    assert!(
        patch.contains("\n-    \"default-runtime\": \"plimsoll\"\n"),
        "{patch}"
    );
}

#[test]
fn an_uninstall_of_all_names_only_the_engines_that_were_set_up() {
    let root = machine(&["podman"], &[]);
    assert_eq!(stdout(&root, "uninstall --all"), "no engine is set up\n");
    stdout(&root, "install podman");
    let said = stdout(&root, "uninstall --all");
    assert!(
        said.starts_with("podman: changed ") && said.lines().count() == 1,
        "{said}"
    );
}

/// Docker's file about a container that was made with our runtime.
const MADE_WITH_OURS: (&str, &str) = (
    "var/lib/docker/containers/web/hostconfig.json",
    r#"{"Runtime":"plimsoll","RestartPolicy":{"Name":"always"}}"#,
);

/// Returns the path of the runtime `plimsoll` in Docker's configuration.
fn docker_runtime(root: &TempDir) -> Option<String> {
    let text: serde_json::Value = serde_json::from_str(&text(root, DOCKER.0)).unwrap();
    let path = text.pointer("/runtimes/plimsoll/path")?.as_str()?;
    Some(path.to_owned())
}

#[test]
fn a_container_that_was_made_with_the_runtime_still_finds_it_after_an_uninstall() {
    for files in [&[DOCKER][..], &[]] {
        let root = machine(&["dockerd", "runc"], files);
        let before = snapshot(&root);
        stdout(&root, "install docker");
        let stored = root.path().join(MADE_WITH_OURS.0);
        fs::create_dir_all(stored.parent().unwrap()).unwrap();
        fs::write(&stored, MADE_WITH_OURS.1).unwrap();
        let planned = output(&root, "uninstall docker --dry-run").stderr;
        let planned = String::from_utf8(planned).unwrap();
        assert!(planned.contains("1 container needs it: web\n"), "{planned}");
        let said = stdout(&root, "uninstall docker");
        assert!(said.contains("1 container needs it: web\n"), "{said}");
        assert!(said.contains("now run: systemctl reload docker"), "{said}");
        assert_eq!(docker_runtime(&root).as_deref(), Some("/usr/bin/runc"));
        assert!(!text(&root, DOCKER.0).contains("default-runtime"));

        let once = text(&root, DOCKER.0);
        stdout(&root, "uninstall --all");
        assert_eq!(text(&root, DOCKER.0), once);

        // The container is made anew, and the last uninstall leaves nothing.
        fs::remove_dir_all(root.path().join("var/lib/docker")).unwrap();
        stdout(&root, "uninstall docker");
        assert_eq!(snapshot(&root), before);
    }
}

#[test]
fn a_container_whose_runtime_an_uninstall_had_removed_finds_it_after_another_one() {
    for files in [&[DOCKER, MADE_WITH_OURS][..], &[MADE_WITH_OURS]] {
        let root = machine(&["dockerd"], files);
        stdout(&root, "uninstall docker");
        assert_eq!(docker_runtime(&root).as_deref(), Some("runc"));
    }
}

#[test]
fn an_install_after_an_uninstall_makes_the_name_ours_again() {
    let root = machine(&["dockerd", "crun"], &[DOCKER, MADE_WITH_OURS]);
    let task = "run/containerd/io.containerd.runtime.v2.task/moby/web";
    fs::create_dir_all(root.path().join(task)).unwrap();
    fs::write(
        root.path().join(task).join("runtime"),
        "/usr/bin/plimsoll-runtime",
    )
    .unwrap();
    let link = root.path().join("usr/bin/plimsoll-runtime");
    for _ in 0..2 {
        stdout(&root, "install docker");
        let path = docker_runtime(&root);
        assert_eq!(path.as_deref(), Some("/usr/bin/plimsoll-runtime"));
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("plimsoll"));
        stdout(&root, "uninstall docker");
        assert_eq!(docker_runtime(&root).as_deref(), Some("/usr/bin/crun"));
        // The shim of the running container executes the link.
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("/usr/bin/crun"));
    }
}

#[test]
fn the_runtime_that_plimsoll_was_configured_to_call_gets_the_name() {
    let chained = "runtime.path = \"nvidia-container-runtime\"\n";
    let chained = ("etc/plimsoll/config.toml", chained);
    let programs = ["dockerd", "runc", "nvidia-container-runtime"];
    let root = machine(&programs, &[DOCKER, MADE_WITH_OURS, chained]);
    stdout(&root, "install docker");
    stdout(&root, "uninstall docker");
    let path = docker_runtime(&root);
    assert_eq!(path.as_deref(), Some("/usr/bin/nvidia-container-runtime"));
}

#[test]
fn a_pod_that_runs_keeps_the_runtime_handler_until_it_ends() {
    let root = machine(&["containerd", "runc"], &[CONTAINERD]);
    stdout(&root, "install containerd");
    let task = root
        .path()
        .join("run/containerd/io.containerd.runtime.v2.task/k8s.io/pod");
    fs::create_dir_all(&task).unwrap();
    fs::write(task.join("runtime"), "/usr/bin/plimsoll-runtime").unwrap();
    let said = stdout(&root, "uninstall containerd");
    assert!(said.contains("1 container needs it: pod\n"), "{said}");
    let left = text(&root, CONTAINERD.0);
    assert!(left.contains("BinaryName = \"/usr/bin/runc\""), "{left}");
    fs::remove_dir_all(&task).unwrap();
    stdout(&root, "uninstall containerd");
    assert_eq!(text(&root, CONTAINERD.0), CONTAINERD.1);
}

#[test]
fn changes_that_others_made_since_stay() {
    let root = machine(&["dockerd"], &[DOCKER]);
    stdout(&root, "install docker");
    let path = root.path().join(DOCKER.0);
    let changed = text(&root, DOCKER.0).replace("journald", "local");
    fs::write(&path, changed).unwrap();
    stdout(&root, "uninstall docker");
    let left = text(&root, DOCKER.0);
    assert!(left.contains("\"local\"") && left.contains("[ \"10.0.0.1\" ]"));
    assert!(
        !left.contains("plimsoll") && !left.contains("runtime"),
        "{left}"
    );
}

#[test]
fn an_engine_that_is_installed_again_after_a_change_is_restored_to_that_change() {
    let root = machine(&["dockerd"], &[DOCKER]);
    stdout(&root, "install docker");
    let path = root.path().join(DOCKER.0);
    fs::write(&path, "{ \"debug\": true }\n").unwrap();
    stdout(&root, "install docker");
    assert!(text(&root, DOCKER.0).contains("plimsoll"));
    stdout(&root, "uninstall docker");
    assert_eq!(text(&root, DOCKER.0), "{ \"debug\": true }\n");
}

#[test]
fn a_hook_of_two_engines_stays_until_both_are_uninstalled() {
    let root = machine(&["podman", "crio"], &[]);
    let hook = root
        .path()
        .join("usr/share/containers/oci/hooks.d/plimsoll.json");
    stdout(&root, "install podman crio");
    stdout(&root, "uninstall podman");
    assert!(hook.exists());
    stdout(&root, "uninstall crio");
    assert!(!hook.exists());
}

#[test]
fn nothing_is_written_if_one_configuration_cannot_be_edited() {
    let root = machine(&ENGINES, &[("etc/containerd/config.toml", "version = ")]);
    let before = snapshot(&root);
    let said = refusal(&root, "install --all");
    assert!(
        said.contains("cannot edit /etc/containerd/config.toml"),
        "{said}"
    );
    assert_eq!(snapshot(&root), before);
}

#[test]
fn a_default_runtime_is_replaced_only_if_plimsoll_is_configured_to_call_it() {
    let nvidia = (DOCKER.0, "{\"default-runtime\": \"nvidia\"}\n");
    let root = machine(&ENGINES, &[nvidia]);
    let said = refusal(&root, "install docker");
    assert!(said.contains("the default runtime is nvidia"), "{said}");
    assert_eq!(text(&root, DOCKER.0), nvidia.1);
    let chained = "runtime.path = \"nvidia-container-runtime\"\n";
    let chained = ("etc/plimsoll/config.toml", chained);
    let root = machine(&ENGINES, &[nvidia, chained]);
    stdout(&root, "install docker");
    assert!(text(&root, DOCKER.0).contains("plimsoll"));
}

#[test]
fn an_engine_that_is_not_installed_is_refused_in_one_line() {
    let root = machine(&["podman"], &[]);
    let said = refusal(&root, "install docker");
    assert_eq!(
        said,
        "plimsoll: docker is not installed here: there is no dockerd\n"
    );
    let all = stdout(&root, "install --all");
    assert!(all.contains("docker: not installed here\n"), "{all}");
    assert!(all.contains("podman: changed "), "{all}");
}

#[test]
fn the_json_of_install_names_the_changed_files_and_the_next_command() {
    let root = machine(&["dockerd"], &[]);
    let said = stdout(&root, "install docker -o json --dry-run");
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
fn lxc_and_incus_are_set_up_only_without_lxcfs() {
    let root = machine(&["lxc-start", "incusd"], &[]);
    stdout(&root, "install lxc incus");
    stdout(&root, "uninstall lxc");
    let set = text(&root, "usr/share/lxc/config/common.conf.d/plimsoll.conf");
    assert!(set.contains("lxc.hook.mount = /usr/bin/plimsoll hook --lxc"));

    let lxcfs = ("usr/share/lxc/config/common.conf.d/00-lxcfs.conf", "");
    let root = machine(&["lxc-start", "incusd"], &[lxcfs]);
    let before = snapshot(&root);
    let said = stdout(&root, "install --all");
    assert!(
        said.contains("lxc: not set up: /usr/share/lxc/config/common.conf.d/00-lxcfs.conf "),
        "{said}"
    );
    let said = stdout(&root, "install --all -o json");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let states = said
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["state"].as_str().unwrap());
    assert_eq!(
        states.filter(|state| *state == "skipped").count(),
        2,
        "{said}"
    );
    for engine in ["lxc", "incus"] {
        let said = refusal(&root, &format!("install {engine}"));
        assert!(said.contains("plimsoll daemon /var/lib/lxcfs"), "{said}");
    }
    assert_eq!(
        stdout(&root, "install --all"),
        stdout(&root, "install --all")
    );
    assert_eq!(snapshot(&root), before);
}

#[test]
fn the_package_in_the_place_of_lxcfs_leaves_install_nothing_to_write() {
    let hooks = [
        (
            "usr/share/lxc/config/common.conf.d/00-lxcfs.conf",
            include_str!("../../packaging/lxcfs/00-lxcfs.conf"),
        ),
        (
            "usr/share/lxcfs/lxc.mount.hook",
            include_str!("../../packaging/lxcfs/lxc.mount.hook"),
        ),
    ];
    let root = machine(&["lxc-start", "incusd"], &hooks);
    let before = snapshot(&root);
    assert_eq!(
        stdout(&root, "install lxc incus"),
        "lxc: nothing to write\nincus: nothing to write\n"
    );
    assert_eq!(snapshot(&root), before);
}

/// The mounts of a machine, without which doctor does not judge.
const MOUNTS: (&str, &str) = ("proc/self/mountinfo", "");

#[test]
fn a_flag_of_dockers_service_that_docker_refuses_beside_the_file_is_refused_and_nothing_is_written()
{
    let unit = "usr/lib/systemd/system/docker.service";
    let reads =
        "EnvironmentFile=-/etc/sysconfig/docker\nExecStart=/usr/bin/dockerd -H fd:// $OPTIONS\n";
    let plain = "ExecStart=/usr/bin/dockerd -H fd://\n";
    let options = "OPTIONS='--selinux-enabled --default-runtime=oci'\n";
    let drop_in = "etc/systemd/system/docker.service.d/nvidia.conf";
    let nvidia = "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --add-runtime=nvidia=/n\n";
    for (files, flag, place) in [
        (
            vec![(unit, reads), ("etc/sysconfig/docker", options)],
            "--default-runtime",
            "/etc/sysconfig/docker",
        ),
        (
            vec![("etc/sysconfig/docker", options)],
            "--default-runtime",
            "/etc/sysconfig/docker",
        ),
        (
            vec![(
                "etc/default/docker",
                "DOCKER_OPTS=\"--default-runtime oci\"",
            )],
            "--default-runtime",
            "/etc/default/docker",
        ),
        (
            vec![(unit, plain), (drop_in, nvidia)],
            "--add-runtime",
            "/etc/systemd/system/docker.service.d/nvidia.conf",
        ),
    ] {
        let root = machine(&["dockerd"], &[&files[..], &[MOUNTS]].concat());
        let before = snapshot(&root);
        for line in [
            "install docker",
            "install docker --dry-run",
            "install --all",
        ] {
            let said = refusal(&root, line);
            assert!(said.contains(flag) && said.contains(place), "{said}");
            assert!(said.contains("/etc/docker/daemon.json"), "{said}");
        }
        assert_eq!(snapshot(&root), before);
        let doctor = output(&root, "doctor");
        let said = String::from_utf8(doctor.stdout).unwrap();
        assert!(
            flag == "--add-runtime" || said.contains(&format!("remove {flag} from {place}")),
            "{said}"
        );
    }
}

#[test]
fn a_configuration_that_a_flag_moves_is_followed() {
    let unit = (
        "usr/lib/systemd/system/docker.service",
        "ExecStart=/usr/bin/dockerd --config-file=/srv/docker.json\n",
    );
    let other = (
        "etc/systemd/system/containerd.service",
        "ExecStart=/usr/bin/containerd -c /srv/containerd.toml\n",
    );
    let root = machine(
        &["dockerd", "containerd"],
        &[unit, other, ("srv/docker.json", "{}\n")],
    );
    let before = snapshot(&root);
    stdout(&root, "install docker containerd");
    assert!(text(&root, "srv/docker.json").contains("\"default-runtime\": \"plimsoll\""));
    assert!(text(&root, "srv/containerd.toml").contains("plimsoll-runtime"));
    for default in ["etc/docker/daemon.json", "etc/containerd/config.toml"] {
        assert!(!root.path().join(default).exists(), "{default}");
    }
    stdout(&root, "uninstall docker containerd");
    assert_eq!(snapshot(&root), before);
}

#[test]
fn a_hook_is_written_where_the_engine_reads_hooks() {
    let podman = (
        "etc/containers/containers.conf.d/1.conf",
        "[engine]\nhooks_dir = [\"/etc/containers/oci/hooks.d\"]\n",
    );
    let crio = (
        "etc/crio/crio.conf",
        "[crio.runtime]\nhooks_dir = [\"/srv/hooks\"]\n",
    );
    let root = machine(&["podman", "crio"], &[podman, crio, MOUNTS]);
    let before = snapshot(&root);
    stdout(&root, "install podman crio");
    for path in [
        "etc/containers/oci/hooks.d/plimsoll.json",
        "srv/hooks/plimsoll.json",
    ] {
        assert!(text(&root, path).contains("createRuntime"), "{path}");
    }
    assert!(!root.path().join("usr/share/containers").exists());
    let said = String::from_utf8(output(&root, "doctor").stdout).unwrap();
    assert_eq!(
        said.matches("every container gets the view").count(),
        2,
        "{said}"
    );
    stdout(&root, "uninstall podman crio");
    assert_eq!(snapshot(&root), before);
}

#[test]
fn doctor_names_a_hook_that_is_not_read() {
    let root = machine(&["podman"], &[MOUNTS]);
    stdout(&root, "install podman");
    let settings = root.path().join("etc/containers");
    fs::create_dir_all(&settings).unwrap();
    fs::write(
        settings.join("containers.conf"),
        "[engine]\nhooks_dir = [\"/srv/hooks\"]\n",
    )
    .unwrap();
    let said = String::from_utf8(output(&root, "doctor").stdout).unwrap();
    assert!(
        said.contains("the hook in /usr/share/containers/oci/hooks.d is not read"),
        "{said}"
    );
}

#[test]
#[ignore = "needs root"]
fn with_a_read_only_usr_the_hook_is_below_etc_and_the_engine_reads_it() {
    let root = machine(&["podman", "crio"], &[MOUNTS]);
    let before = snapshot(&root);
    let in_read_only = |line: &str| {
        let script = "mount --bind -o ro \"$R/usr\" \"$R/usr\" && mount -o remount,bind,ro \"$R/usr\" && exec \"$@\" --root \"$R\"";
        let mut command = std::process::Command::new("unshare");
        command
            .args(["-m", "sh", "-ec", script, "sh"])
            .env("R", root.path());
        command.arg(plimsoll().get_program()).args(line.split(' '));
        stdout_of(&command.output().unwrap())
    };
    in_read_only("install podman crio");
    let hook = text(&root, "etc/containers/oci/hooks.d/plimsoll.json");
    assert!(hook.contains("createRuntime"), "{hook}");
    for path in [
        "etc/containers/containers.conf.d/99-plimsoll.conf",
        "etc/crio/crio.conf.d/99-plimsoll.conf",
    ] {
        let said = text(&root, path);
        let both =
            "hooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"/etc/containers/oci/hooks.d\"]";
        assert!(said.contains(both), "{said}");
    }
    let said = String::from_utf8(output(&root, "doctor").stdout).unwrap();
    assert_eq!(
        said.matches("every container gets the view").count(),
        2,
        "{said}"
    );
    let said = in_read_only("install podman crio");
    assert_eq!(said.matches("nothing to change").count(), 2, "{said}");
    in_read_only("uninstall podman crio");
    assert_eq!(snapshot(&root), before);
}

#[test]
#[ignore = "needs root"]
fn on_a_read_only_host_nothing_is_written_for_any_engine_and_one_line_says_so() {
    let root = machine(&["podman", "dockerd", "lxc-start"], &[MOUNTS]);
    fs::create_dir(root.path().join("etc")).unwrap();
    let before = snapshot(&root);
    let script = "for d in $D; do mount --bind \"$R/$d\" \"$R/$d\"; mount -o remount,bind,ro \"$R/$d\"; done; \
                  exec \"$@\" --root \"$R\"";
    for (read_only, engines) in [
        ("etc", "podman docker"),
        ("usr etc", "podman"),
        ("usr", "podman lxc"),
        ("usr var", "podman"),
    ] {
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-ec", script, "sh"]);
        command.env("R", root.path()).env("D", read_only);
        command.arg(plimsoll().get_program()).arg("install");
        let output = command.args(engines.split(' ')).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("plimsoll: cannot write /"), "{said}");
        assert!(
            said.ends_with(": Read-only file system (os error 30)\n"),
            "{said}"
        );
        assert_eq!(snapshot(&root), before, "{read_only}");
    }
}

#[test]
fn criu_is_told_of_the_mounts_and_its_configuration_comes_back() {
    let before = "tcp-established\n";
    let root = machine(&["criu"], &[("etc/criu/default.conf", before)]);
    let found = snapshot(&root);
    stdout(&root, "install --all");
    let path = root.path().join("etc/criu/default.conf");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(before), "{text}");
    let line = "\nexternal mnt[/proc/meminfo]:/var/lib/plimsoll/proc/meminfo\n";
    assert!(text.contains(line), "{text}");
    assert_eq!(stdout(&root, "install criu"), "criu: nothing to change\n");
    stdout(&root, "uninstall criu");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    let left = snapshot(&root);
    assert!(found.keys().all(|path| left.contains_key(path)));
}

#[test]
fn criu_that_is_not_there_is_not_set_up() {
    let root = machine(&[], &[]);
    let said = refusal(&root, "install criu");
    assert!(
        said.contains("criu is not installed here: there is no criu"),
        "{said}"
    );
    assert!(!root.path().join("etc").exists());
}
