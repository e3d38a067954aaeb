//! What people call a container, from the files in which its engine keeps that.

use super::{Engine, Label, is_long, tasks};
use serde::Deserialize;
use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

/// So large is such a file at most.
const LARGEST: u64 = 64 << 20;

/// Its name, where the engine has one beside the id.
pub(super) fn of(root: &Path, label: &Label) -> Option<String> {
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
            let path = tasks(root).join("k8s.io").join(id).join("config.json");
            let names = ["sandbox-namespace", "sandbox-name", "container-name"];
            of_pod(
                &path,
                &names.map(|name| format!("io.kubernetes.cri.{name}")),
            )
        }
        Engine::Crio => {
            let path =
                format!("run/containers/storage/overlay-containers/{id}/userdata/config.json");
            let names = ["pod.namespace", "pod.name", "container.name"];
            of_pod(
                &root.join(path),
                &names.map(|name| format!("io.kubernetes.{name}")),
            )
        }
        Engine::Containerd | Engine::Lxc | Engine::Nspawn => None,
    }
}

/// The container of containerd's whose cgroup that is: it names them as it likes, but says so.
pub(super) fn task(root: &Path, cgroup: &str) -> Option<Label> {
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

/// The name of a container of a pod: `NAMESPACE/POD/CONTAINER`.
fn of_pod(path: &Path, keys: &[String; 3]) -> Option<String> {
    let configuration: Configuration = read(path)?;
    let values = keys.iter().map(|key| configuration.annotations.get(key));
    let values: Option<Vec<&String>> = values.collect();
    let values: Vec<&str> = values?.into_iter().map(String::as_str).collect();
    Some(values.join("/"))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    let file = File::open(path).ok()?.take(LARGEST);
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
    annotations: HashMap<String, String>,
}
