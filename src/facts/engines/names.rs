//! The names of containers, from the files in which their engines keep them.

use super::{
    shapes::{Label, is_long},
    table::Engine,
};
use serde::Deserialize;
use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

/// The bytes that are read of such a file; a longer one names nothing.
const MAX_FILE: u64 = 64 << 20;

/// Returns the name of the container with that label; `None` where the engine keeps no name beside
/// the id, or its file cannot be read.
pub(super) fn name(root: &Path, label: &Label) -> Option<String> {
    let id = &label.id;
    match label.engine {
        Engine::Docker => {
            let path = format!("var/lib/docker/containers/{id}/config.v2.json");
            let docker: Docker = read(&root.join(path))?;
            Some(docker.name.trim_start_matches('/').to_owned())
        }
        Engine::Podman => {
            let path = "var/lib/containers/storage/overlay-containers/containers.json";
            let all: Vec<Stored> = read(&root.join(path))?;
            let own = all.into_iter().find(|stored| stored.id == *id)?;
            own.names.into_iter().next()
        }
        Engine::Containerd if is_long(id) => {
            name_in_pod(&tasks(root).join("k8s.io").join(id).join("config.json"))
        }
        Engine::Crio => {
            let path =
                format!("run/containers/storage/overlay-containers/{id}/userdata/config.json");
            name_in_pod(&root.join(path))
        }
        Engine::Containerd | Engine::Lxc | Engine::Incus | Engine::Nspawn => None,
    }
}

/// Returns the label with the engine that has the container: Incus keeps a directory of each of
/// its containers, whose cgroups are named as LXC's are. A label of another engine stays.
pub(super) fn incus_or_lxc(root: &Path, label: Label) -> Label {
    let kept = root.join("var/lib/incus/containers").join(&label.id);
    match label.engine {
        Engine::Lxc if !label.id.is_empty() && kept.symlink_metadata().is_ok() => Label {
            engine: Engine::Incus,
            ..label
        },
        _ => label,
    }
}

/// Returns containerd's container with that cgroup, if containerd has a task of the path's last
/// two names: its clients choose the names, so no shape distinguishes them.
pub(super) fn containerd_task(root: &Path, cgroup: &str) -> Option<Label> {
    let mut parts = cgroup.rsplit('/').filter(|part| !part.is_empty());
    let (id, namespace) = (parts.next()?, parts.next()?);
    let is_plain = |part: &str| part != ".." && part != ".";
    let is_task = is_plain(id) && is_plain(namespace);
    let path = tasks(root).join(namespace).join(id);
    (is_task && path.is_dir()).then(|| Label {
        engine: Engine::Containerd,
        id: id.to_owned(),
    })
}

/// The directory in which containerd keeps the state of the containers that run.
fn tasks(root: &Path) -> PathBuf {
    root.join("run/containerd/io.containerd.runtime.v2.task")
}

/// Returns the name of a container of a pod: `NAMESPACE/POD/CONTAINER`.
fn name_in_pod(path: &Path) -> Option<String> {
    let Annotations {
        namespace,
        pod,
        container,
    } = read::<Configuration>(path)?.annotations;
    Some([namespace?, pod?, container?].join("/"))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    let file = File::open(path).ok()?.take(MAX_FILE);
    serde_json::from_reader(BufReader::new(file)).ok()
}

#[derive(Deserialize)]
struct Docker {
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    annotations: Annotations,
}

/// The annotations that name a container of a pod, in the spelling of containerd and in that of
/// CRI-O. Other annotations are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(
        rename = "io.kubernetes.cri.sandbox-namespace",
        alias = "io.kubernetes.pod.namespace"
    )]
    namespace: Option<String>,
    #[serde(
        rename = "io.kubernetes.cri.sandbox-name",
        alias = "io.kubernetes.pod.name"
    )]
    pod: Option<String>,
    #[serde(
        rename = "io.kubernetes.cri.container-name",
        alias = "io.kubernetes.container.name"
    )]
    container: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn named(configuration: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let id = "a".repeat(64);
        let directory = tasks(root.path()).join("k8s.io").join(&id);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config.json"), configuration).unwrap();
        let engine = Engine::Containerd;
        name(root.path(), &Label { engine, id })
    }

    const NAMES: &str = r#""io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.container-name":"app""#;

    #[test]
    fn a_container_of_a_pod_is_named_whatever_else_its_configuration_holds() {
        let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        for before in ["", r#""x":"y","#] {
            let text = format!(r#"{{"deep":{deep},"annotations":{{{before}{NAMES}}}}}"#);
            assert_eq!(named(&text).as_deref(), Some("shop/web-0/app"));
        }
        assert_eq!(named("{}"), None);
    }

    #[test]
    fn a_configuration_that_is_larger_than_any_names_nothing() {
        let huge = " ".repeat(usize::try_from(MAX_FILE).unwrap());
        assert_eq!(
            named(&format!(r#"{huge}{{"annotations":{{{NAMES}}}}}"#)),
            None
        );
    }
}
