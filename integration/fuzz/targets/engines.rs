//! The files of engines, of LXC, of CRIU and of systemd on a machine: no content of them panics, and what a
//! plan has installed, it finds installed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::{
    facts::engines::{self, CommandLines, Engine, PACKAGES},
    inject::install::{
        Installable, TargetHost, criu_state, docker_flag, lxc_hooks, plan_install, plan_uninstall,
        set_up,
    },
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The files that hold the input. `ID` stands for the id of a container.
const FILES: [&str; 26] = [
    "proc/7/cgroup",
    "proc/7/cmdline",
    "proc/7/status",
    "etc/passwd",
    "etc/docker/daemon.json",
    "etc/containers/storage.conf",
    "etc/containerd/config.toml",
    "etc/containers/containers.conf",
    "etc/containers/containers.conf.d/a.conf",
    "etc/crio/crio.conf",
    "etc/crio/crio.conf.d/a.conf",
    "etc/criu/default.conf",
    "etc/default/docker",
    "etc/systemd/system/docker.service",
    "etc/systemd/system/containerd.service.d/a.conf",
    "usr/lib/systemd/system/crio.service",
    "usr/share/lxc/config/common.conf.d/00-lxcfs.conf",
    "usr/share/lxc/config/common.conf.d/90-plimsoll.conf",
    "usr/share/containers/oci/hooks.d/plimsoll.json",
    "etc/cdi/plimsoll.json",
    "etc/pve/lxc/ID.conf",
    "var/lib/docker/containers/ID/config.v2.json",
    "var/lib/containers/storage/overlay-containers/containers.json",
    "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
    "run/containers/storage/overlay-containers/ID/userdata/config.json",
    "var/lib/nerdctl/1/names/default/web",
];

static MACHINE: LazyLock<TempDir> = LazyLock::new(|| {
    let machine = TempDir::new_in("/dev/shm").unwrap();
    let root = machine.path();
    for file in FILES {
        fs::create_dir_all(path(root, file).parent().unwrap()).unwrap();
    }
    for package in PACKAGES {
        let directory = root.join(package.directories[0].trim_start_matches('/'));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(package.program), "").unwrap();
    }
    fs::create_dir_all(root.join("usr/sbin")).unwrap();
    fs::write(root.join("usr/sbin/criu"), "").unwrap();
    for (process, namespace) in [("1", "pid:[1]"), ("7", "pid:[2]")] {
        fs::create_dir_all(root.join("proc").join(process).join("ns")).unwrap();
        let ns = root.join("proc").join(process).join("ns");
        symlink(namespace, ns.join("pid")).unwrap();
        symlink(namespace.replace("pid", "mnt"), ns.join("mnt")).unwrap();
    }
    machine
});

fn path(root: &Path, file: &str) -> PathBuf {
    root.join(file.replace("ID", ID))
}

fuzz_target!(|files: Vec<(u8, Vec<u8>)>| {
    let root = MACHINE.path();
    let written = files.iter().take(8).map(|(at, text)| {
        let path = path(root, FILES[usize::from(*at) % FILES.len()]);
        fs::write(&path, text).unwrap();
        path
    });
    let written: Vec<PathBuf> = written.collect();
    look(root);
    written.iter().for_each(|path| drop(fs::remove_file(path)));
});

/// Calls everything that reads such files.
fn look(root: &Path) {
    for container in engines::all(root).unwrap() {
        let name = container.name.unwrap_or_default();
        assert!(!name.contains(char::is_control), "{name:?}");
    }
    for package in PACKAGES {
        let lines = CommandLines::of(root, package);
        let _ = (lines.flag(&["config", "c"]), lines.arguments().count());
        let _ = (set_up(root, package), docker_flag(root, package));
    }
    let _ = lxc_hooks(root, "/usr/share/lxc/config/common.conf.d");
    let view = PathBuf::from("/var/lib/plimsoll");
    let _ = criu_state(root, &view);
    let host = TargetHost {
        root: root.to_owned(),
        program: "/usr/bin/plimsoll".into(),
        chained: None,
        view,
    };
    for engine in Installable::all() {
        for plan in plan_install(&host, &[engine]).into_iter().flatten() {
            plan.changes.iter().for_each(|change| drop(change.diff()));
        }
    }
    let _ = plan_uninstall(&host, &Installable::all());
    let _ = engines::installed(Engine::Docker, root);
}
