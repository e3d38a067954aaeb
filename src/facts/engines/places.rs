//! The directories in which engines keep the data of their containers.

use super::{
    services::{CommandLines, Flag},
    stored::text,
    table::Engine,
};
use crate::base::tolerant::Tolerant;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Data directories of Docker: Debian's and Docker's packages, Canonical's snap, balenaEngine.
const DOCKER: [&str; 3] = [
    "var/lib/docker",
    "var/snap/docker/common/var-lib-docker",
    "var/lib/balena-engine",
];
/// State directories of containerd: alone, as a child of dockerd, k3s and RKE2, k0s, MicroK8s.
const CONTAINERD: [&str; 5] = [
    "run/containerd",
    "run/docker/containerd/daemon",
    "run/k3s/containerd",
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
];
/// Directories of containers of LXC and LXD.
const LXC: [&str; 3] = [
    "var/lib/lxc",
    "var/lib/lxd/containers",
    "var/snap/lxd/common/lxd/containers",
];

/// The directories of the engines on one machine.
#[derive(Debug)]
pub(super) struct Places {
    root: PathBuf,
    /// The data directories of the Docker that runs for all users.
    docker: Vec<PathBuf>,
    /// The storage of root's Podman and of CRI-O.
    podman: Vec<PathBuf>,
    /// The directories in which Podman and CRI-O keep the containers that run.
    run: Vec<PathBuf>,
    /// `/etc/passwd`.
    users: String,
}

impl Places {
    /// Reads the settings of the engines below the machine's root directory.
    pub(super) fn of(root: &Path) -> Places {
        let mut docker: Vec<PathBuf> = DOCKER.map(|path| root.join(path)).into();
        let moved = flag(root, Engine::Docker, &["data-root", "graph", "g"]);
        docker.extend(moved.map(|flag| below(root, Path::new(&flag.value))));
        let file = flag(root, Engine::Docker, &["config-file"]);
        let file = file.map_or("/etc/docker/daemon.json".to_owned(), |flag| flag.value);
        let settings = text(&below(root, Path::new(&file)));
        let settings: Option<DockerSettings> = serde_json::from_str(&settings).ok();
        let moved = settings.and_then(|settings| settings.data_root.0.or(settings.graph.0));
        docker.extend(moved.map(|path| below(root, &path)));
        let mut podman = vec![root.join("var/lib/containers/storage")];
        let settings = text(&root.join("etc/containers/storage.conf"));
        podman.extend(named_in(&settings, "graphroot").map(|path| below(root, &path)));
        let moved = flag(root, Engine::Crio, &["root", "r"]);
        podman.extend(moved.map(|flag| below(root, Path::new(&flag.value))));
        let mut run = vec![root.join("run/containers/storage")];
        run.extend(named_in(&settings, "runroot").map(|path| below(root, &path)));
        let moved = flag(root, Engine::Crio, &["runroot"]);
        run.extend(moved.map(|flag| below(root, Path::new(&flag.value))));
        Places {
            root: root.to_owned(),
            docker,
            podman,
            run,
            users: text(&root.join("etc/passwd")),
        }
    }

    /// Returns the machine's root directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the data directories of the Docker that runs for all users.
    pub(super) fn docker_data(&self) -> impl Iterator<Item = PathBuf> {
        self.docker.iter().cloned()
    }

    /// Returns Docker's directories of the container `id` at `cgroup`, which may not exist.
    pub(super) fn docker(&self, id: &str, cgroup: &str) -> impl Iterator<Item = PathBuf> {
        let own = self
            .home(cgroup)
            .map(|home| home.join(".local/share/docker"));
        let all = self.docker.iter().cloned().chain(own);
        all.map(move |data| data.join("containers").join(id))
    }

    /// Returns the storages of the Podman whose container is at `cgroup`.
    pub(super) fn podman(&self, cgroup: &str) -> impl Iterator<Item = PathBuf> {
        let own = self
            .home(cgroup)
            .map(|home| home.join(".local/share/containers/storage"));
        self.podman.iter().cloned().chain(own)
    }

    /// Returns the directories in which root's Podman and CRI-O keep a directory for each container that
    /// runs.
    pub(super) fn run(&self) -> impl Iterator<Item = PathBuf> {
        self.run.iter().map(|run| run.join("overlay-containers"))
    }

    /// Returns the data directories of the nerdctl whose container is at `cgroup`.
    pub(super) fn nerdctl(&self, cgroup: &str) -> impl Iterator<Item = PathBuf> {
        let own = self
            .home(cgroup)
            .map(|home| home.join(".local/share/nerdctl"));
        [self.root.join("var/lib/nerdctl")].into_iter().chain(own)
    }

    /// Returns the directories in which containerd keeps a directory for each of its namespaces.
    pub(super) fn containerd(&self) -> impl Iterator<Item = PathBuf> {
        let states = CONTAINERD.iter().map(|state| self.root.join(state));
        states.map(|state| state.join("io.containerd.runtime.v2.task"))
    }

    /// Returns whether LXC, Proxmox VE or LXD keeps a container of that name.
    pub(super) fn has_lxc(&self, name: &str) -> bool {
        let mut kept = LXC.iter().map(|path| self.root.join(path).join(name));
        let conf = self.root.join(format!("etc/pve/lxc/{name}.conf"));
        is_name(name) && (conf.exists() || kept.any(|path| path.exists()))
    }

    /// Returns the home of the user in whose slice the cgroup is.
    fn home(&self, cgroup: &str) -> Option<PathBuf> {
        let user = |name: &str| {
            let service = name.strip_prefix("user@")?.strip_suffix(".service");
            service?.parse::<u32>().ok()
        };
        let user = cgroup.split('/').find_map(user)?;
        let homes = self.users.lines().filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let id: u32 = fields.next()?.parse().ok()?;
            (id == user).then(|| fields.nth(2))?
        });
        homes
            .into_iter()
            .next()
            .map(|home| below(&self.root, Path::new(home)))
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Returns the flag with which the service of an engine starts next.
fn flag(root: &Path, engine: Engine, names: &[&str]) -> Option<Flag> {
    let mut packages = engine.packages();
    packages.find_map(|package| CommandLines::of_next_start(root, package).flag(names))
}

/// Returns the directory of that name in the settings of Podman's and CRI-O's storage.
fn named_in(settings: &str, name: &str) -> Option<PathBuf> {
    let settings: toml::Table = settings.parse().ok()?;
    Some(settings.get("storage")?.get(name)?.as_str()?.into())
}

/// Returns whether a name is one part of a path.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct DockerSettings {
    data_root: Tolerant<PathBuf>,
    /// The name of `data-root` before Docker 17.05.
    graph: Tolerant<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_setting_of_an_engine_costs_only_itself() {
        let docker = |text: &str| {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join("etc/docker")).unwrap();
            std::fs::write(root.path().join("etc/docker/daemon.json"), text).unwrap();
            let moved = Places::of(root.path()).docker.split_off(DOCKER.len());
            let below = |path: &PathBuf| path.strip_prefix(root.path()).unwrap().to_owned();
            moved.iter().map(below).collect::<Vec<PathBuf>>()
        };
        let srv = [PathBuf::from("srv")];
        assert_eq!(
            docker(r#"{"data-root":"/srv","debug":1e999,"x":[{}]}"#),
            srv
        );
        assert_eq!(docker(r#"{"data-root":["/x"],"graph":"/srv"}"#), srv);
        assert_eq!(docker(r#"{"data-root":"/srv","graph":"/x"}"#), srv);
        for none in [r#"{"data-root":7}"#, "[]", "", r#"{"data-root":"/srv""#] {
            assert_eq!(docker(none), <[PathBuf; 0]>::default(), "{none}");
        }
        let odd =
            "[storage]\ngraphroot = \"/srv\"\ndriver = 7\n[storage.options]\nsize = [1, \"a\"]\n";
        assert_eq!(named_in(odd, "graphroot"), Some("/srv".into()));
        assert_eq!(named_in("[storage]\ngraphroot = 7\n", "graphroot"), None);
        assert_eq!(named_in("storage = []\n", "graphroot"), None);
        let deep = format!("x = {}", "[".repeat(1 << 20));
        assert_eq!(named_in(&deep, "graphroot"), None);
    }
}
