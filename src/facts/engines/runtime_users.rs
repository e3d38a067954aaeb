//! The containers that cannot go on without an OCI runtime: by the runtime's name, which Docker keeps
//! with a container, or by its program, which the shim of a running container executes.

use super::{
    names::{self, DOCKERS_NAMESPACE, Names},
    places::{Places, is_name},
    services::CommandLines,
    shapes::{Label, is_long},
    stored::text,
    table::{Engine, EnginePackage},
};
use crate::base::tolerant::Tolerant;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The digits of a long id that engines show.
const SHOWN_DIGITS: usize = 12;

/// The part of Docker's `hostconfig.json` that names the runtime.
#[derive(Deserialize)]
struct HostConfiguration {
    #[serde(rename = "Runtime", default)]
    runtime: Tolerant<String>,
}

/// Returns the containers of Docker, running or not, that start with the runtime of that name, as
/// people call them, in order.
#[must_use]
pub fn docker_containers_of(root: &Path, package: &EnginePackage, runtime: &str) -> Vec<String> {
    let places = Places::of(root);
    let flag = CommandLines::of(root, package).flag(&["data-root", "graph", "g"]);
    let moved = flag.map(|flag| root.join(flag.value.trim_start_matches('/')));
    let data: BTreeSet<PathBuf> = places.docker_data().chain(moved).collect();
    let kept = data
        .iter()
        .flat_map(|data| entries(&data.join("containers")));
    let users = kept.filter(|directory| {
        let stored: Option<HostConfiguration> = names::read(&directory.join("hostconfig.json"));
        stored.and_then(|stored| stored.runtime.0).as_deref() == Some(runtime)
    });
    let mut users: Vec<String> = users
        .filter_map(|directory| {
            let id = directory.file_name()?.to_str()?;
            let name = names::docker(&places, id, "").and_then(|docker| docker.name());
            Some(shown(id, name))
        })
        .collect();
    users.sort();
    users
}

/// Returns the running containers of containerd and of Docker whose shim executes `program`, as people
/// call them, in order. Docker's are left out unless `has_dockers`.
#[must_use]
pub fn running_with(root: &Path, program: &Path, has_dockers: bool) -> Vec<String> {
    let places = Places::of(root);
    let namespaces: Vec<PathBuf> = places.containerd().flat_map(|all| entries(&all)).collect();
    let wanted = namespaces
        .iter()
        .filter(|path| has_dockers || !path.ends_with(DOCKERS_NAMESPACE));
    // A shim of containerd writes the program of its runtime into the bundle (WriteRuntime).
    let tasks = wanted.flat_map(|namespace| entries(namespace));
    let tasks = tasks.filter(|task| Path::new(text(&task.join("runtime")).trim()) == program);
    let tasks: Vec<PathBuf> = tasks.collect();
    let names = Names::of(places);
    let mut users: Vec<String> = tasks
        .iter()
        .filter_map(|task| {
            let engine = match task.parent()?.ends_with(DOCKERS_NAMESPACE) {
                true => Engine::Docker,
                false => Engine::Containerd,
            };
            let id = task.file_name()?.to_str()?.to_owned();
            let label = Label { engine, id };
            let name = names.name(&label, "");
            Some(shown(&label.id, name))
        })
        .collect();
    users.sort();
    users
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Returns the name for people: the container's name, else its id.
fn shown(id: &str, name: Option<String>) -> String {
    match name {
        Some(name) if is_name(&name) => name,
        _ if is_long(id) => id.get(..SHOWN_DIGITS).unwrap_or(id).to_owned(),
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tolerant::ODD_VALUES;

    const ID: &str = "3fa0b6a1c2d3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccdd";

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let machine = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = machine.path().join(path.replace("ID", ID));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        machine
    }

    fn of_docker(machine: &tempfile::TempDir) -> Vec<String> {
        let package = Engine::Docker.packages().next().unwrap();
        docker_containers_of(machine.path(), package, "plimsoll")
    }

    #[test]
    fn a_stopped_container_of_docker_needs_the_runtime_with_which_it_was_made() {
        let ours = r#"{"Runtime":"plimsoll","Memory":7}"#;
        let machine = machine(&[
            ("var/lib/docker/containers/ID/hostconfig.json", ours),
            (
                "var/lib/docker/containers/ID/config.v2.json",
                r#"{"Name":"/web"}"#,
            ),
            ("srv/d/containers/b/hostconfig.json", ours),
            (
                "srv/d/containers/c/hostconfig.json",
                r#"{"Runtime":"runc"}"#,
            ),
            ("etc/docker/daemon.json", r#"{"data-root":"/srv/d"}"#),
        ]);
        assert_eq!(of_docker(&machine), ["b", "web"]);
    }

    #[test]
    fn a_data_directory_that_a_flag_of_the_service_names_is_read() {
        let machine = machine(&[
            ("etc/default/docker", "DOCKER_OPTS=\"--data-root /srv/d\"\n"),
            (
                "srv/d/containers/ID/hostconfig.json",
                r#"{"Runtime":"plimsoll"}"#,
            ),
        ]);
        assert_eq!(of_docker(&machine), ["3fa0b6a1c2d3"]);
    }

    #[test]
    fn an_odd_runtime_of_a_container_is_no_runtime() {
        for odd in ODD_VALUES {
            let text = format!(r#"{{"Runtime":{odd}}}"#);
            let file = (
                "var/lib/docker/containers/ID/hostconfig.json",
                text.as_str(),
            );
            assert_eq!(of_docker(&machine(&[file])), Vec::<String>::new(), "{odd}");
        }
    }

    #[test]
    fn a_running_container_needs_the_program_that_its_shim_executes() {
        let ours = "/usr/bin/plimsoll-runtime";
        let tasks = "run/containerd/io.containerd.runtime.v2.task";
        let pod = format!("{tasks}/k8s.io/pod/runtime");
        let other = format!("{tasks}/k8s.io/other/runtime");
        let docker = format!("{tasks}/moby/ID/runtime");
        let machine = machine(&[(&pod, ours), (&other, "/usr/bin/runc"), (&docker, ours)]);
        let with = |has_dockers| running_with(machine.path(), Path::new(ours), has_dockers);
        assert_eq!(with(false), ["pod"]);
        assert_eq!(with(true), ["3fa0b6a1c2d3", "pod"]);
    }
}
