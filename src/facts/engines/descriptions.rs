//! Reads the facts about containers that rules can name.
//!
//! The facts are in the container's OCI configuration and beside it: in the configuration of its pod's
//! sandbox, in Docker's `config.v2.json`, and in the `containers.json` of Podman's storage. No file
//! holds the labels of a container of Podman or containerd.

use super::{
    configuration::ContainerConfiguration,
    description::{Description, Mark},
    names::{self, DOCKERS_NAMESPACE, Docker, Names, Stored, read},
    places::{Places, is_name},
    running::RunningContainer,
    shapes::Label,
    strangers::cgroups,
    table::Engine,
};
use crate::base::units::Pid;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The configuration in a bundle.
const CONFIGURATION: &str = "config.json";
/// The last directories of a bundle of containerd before those of the namespace and the container.
const TASKS: &str = "io.containerd.runtime.v2.task";

/// A container that a runtime makes.
#[derive(Debug, Clone, Copy)]
pub struct NewContainer<'a> {
    /// The id that the engine gave the runtime.
    pub id: &'a str,
    /// The directory of the configuration.
    pub bundle: &'a Path,
    /// A process in the container's cgroup; `None` for this process.
    pub pid: Option<Pid>,
}

/// The facts that a rule needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facts {
    /// All facts.
    All,
    /// All but names and images, for which a file with all containers of an engine may have to be read.
    FewFiles,
}

/// The descriptions of the containers of one machine. A file with many containers is read once.
#[derive(Debug)]
pub struct Descriptions {
    names: Names,
    facts: Facts,
}

impl Descriptions {
    /// The descriptions on the machine whose root directory is `root`, with those facts.
    #[must_use]
    pub fn of(root: &Path, facts: Facts) -> Descriptions {
        Descriptions {
            names: Names::of(Places::of(root)),
            facts,
        }
    }

    /// Describes a container that runs.
    #[must_use]
    pub fn of_running(&self, container: &RunningContainer) -> Description {
        let cgroup = self.cgroup(Some(container.pid));
        // The id of a container that no engine is known to keep is the path of its cgroup.
        let id = container.id.rsplit('/').next().unwrap_or_default();
        let names = container.name.iter().chain([&container.id]).cloned();
        let names = names.chain([id.to_owned()]);
        let bundle = self.bundle(id, &cgroup);
        let configuration = bundle
            .as_ref()
            .and_then(|bundle| read(&bundle.join(CONFIGURATION)));
        let mut found = self.described(id, bundle.as_deref(), &cgroup, configuration);
        found.names.extend(names);
        found.names.dedup();
        found
    }

    /// Describes a container that a runtime makes, with its configuration as far as that is known.
    #[must_use]
    pub fn of_new(
        &self,
        container: NewContainer<'_>,
        configuration: Option<ContainerConfiguration>,
    ) -> Description {
        let NewContainer { id, bundle, pid } = container;
        let mut found = self.described(id, Some(bundle), &self.cgroup(pid), configuration);
        found.names.push(id.to_owned());
        found
    }

    /// Describes a container of LXC or Incus by its name.
    #[must_use]
    pub fn of_lxc(&self, name: &str) -> Description {
        let label = Label {
            engine: Engine::Lxc,
            id: name.to_owned(),
        };
        let label = names::of_keeper(self.names.places(), label, "");
        let shown = self.names.name(&label, "");
        Description {
            names: shown.into_iter().chain([label.id]).collect(),
            ..Description::default()
        }
    }

    fn described(
        &self,
        id: &str,
        bundle: Option<&Path>,
        cgroup: &str,
        configuration: Option<ContainerConfiguration>,
    ) -> Description {
        let annotations = configuration.as_ref().map(|all| all.annotations.clone());
        let annotations = annotations.unwrap_or_default();
        let docker = self.docker(id, cgroup);
        let stored = self.stored(id, bundle, cgroup);
        let labels = docker.as_ref().map(|docker| &docker.config.labels);
        let sandbox = annotations
            .sandbox()
            .or_else(|| labels.and_then(|labels| labels.sandbox()));
        let sandbox = sandbox.filter(|sandbox| *sandbox != id);
        let by_pod = || {
            self.pod_declines(sandbox?, bundle, cgroup)
                .then_some(Mark::Pod)
        };
        let by_label = || labels?.decline_view().then_some(Mark::Label);
        let declined_by = match annotations.decline_view() {
            true => Some(Mark::Annotation),
            false => by_label().or_else(by_pod),
        };
        let of_pod = annotations
            .namespace()
            .or_else(|| labels.and_then(|labels| labels.namespace()));
        let namespace = of_pod.or_else(|| containerd_namespace(bundle?));
        let image = docker
            .as_ref()
            .and_then(|docker| docker.config.image.clone());
        let images = annotations.images().map(str::to_owned);
        let names = [
            annotations.name(),
            docker.as_ref().and_then(Docker::name),
            stored.as_ref().and_then(Stored::name),
        ];
        Description {
            names: names.into_iter().flatten().collect(),
            images: images
                .chain(image)
                .chain(stored.as_ref().and_then(Stored::image))
                .collect(),
            namespace: namespace.map(str::to_owned),
            declined_by,
            configuration,
        }
    }

    /// Returns what Docker keeps about the container with that id.
    fn docker(&self, id: &str, cgroup: &str) -> Option<Docker> {
        is_name(id).then(|| names::docker(self.names.places(), id, cgroup))?
    }

    /// Returns what Podman keeps about the container, whose bundle is `STORAGE/ID/userdata`.
    fn stored(&self, id: &str, bundle: Option<&Path>, cgroup: &str) -> Option<Stored> {
        let bundle = bundle?;
        if self.facts == Facts::FewFiles || bundle.file_name()? != "userdata" {
            return None;
        }
        let beside = bundle.parent().and_then(Path::parent)?;
        let found = self.names.stored_in(beside, id);
        found.or_else(|| self.names.stored(id, cgroup))
    }

    /// Returns whether the container that holds the namespaces of a pod declines the view for the pod.
    /// The bundle of the sandbox lies beside those of the other containers.
    fn pod_declines(&self, sandbox: &str, bundle: Option<&Path>, cgroup: &str) -> bool {
        if !is_name(sandbox) {
            return false;
        }
        let docker = self.docker(sandbox, cgroup);
        let by_label = docker.is_some_and(|docker| docker.config.labels.decline_view());
        let beside = || {
            let bundle = bundle?;
            let bundle = match bundle.file_name()? == "userdata" {
                true => bundle.parent()?.with_file_name(sandbox).join("userdata"),
                false => bundle.with_file_name(sandbox),
            };
            read::<ContainerConfiguration>(&bundle.join(CONFIGURATION))
        };
        by_label || beside().is_some_and(|beside| beside.annotations.decline_view())
    }

    /// Returns the bundle of a container that runs.
    fn bundle(&self, id: &str, cgroup: &str) -> Option<PathBuf> {
        if !is_name(id) {
            return None;
        }
        let places = self.names.places();
        let root = places.root();
        let task = names::task(places, id).map(|task| task.directory);
        let storages = places.podman(cgroup).flat_map(names::drivers);
        let stored = storages.chain(places.run());
        let stored = stored.map(|storage| storage.join(id).join("userdata"));
        let runc: Option<RuncState> = read(&root.join(format!("run/runc/{id}/state.json")));
        let crun: Option<CrunStatus> = read(&root.join(format!("run/crun/{id}/status")));
        let called = [
            runc.and_then(RuncState::bundle),
            crun.map(|crun| crun.bundle),
        ];
        let called = called.into_iter().flatten();
        let called = called.map(|path| root.join(path.strip_prefix("/").unwrap_or(&path)));
        let mut all = task.into_iter().chain(stored).chain(called);
        all.find(|bundle| bundle.join(CONFIGURATION).is_file())
    }

    /// Returns the cgroups of a process, one beside the other: the user whose engine it is stands in
    /// one of them.
    fn cgroup(&self, pid: Option<Pid>) -> String {
        let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
        let process = self.names.places().root().join("proc").join(process);
        cgroups(&process).join("/")
    }
}

/// Returns the namespace of containerd in the path of a bundle, except Docker's.
fn containerd_namespace(bundle: &Path) -> Option<&str> {
    let above = bundle.parent()?;
    let name = above.file_name()?.to_str()?;
    let is_task = above.parent()?.file_name()? == TASKS;
    (is_task && name != DOCKERS_NAMESPACE).then_some(name)
}

/// The state of a container that runc was called for without an engine.
#[derive(Deserialize)]
struct RuncState {
    config: RuncConfiguration,
}

#[derive(Deserialize)]
struct RuncConfiguration {
    #[serde(default)]
    labels: Vec<String>,
}

impl RuncState {
    fn bundle(self) -> Option<PathBuf> {
        let mut labels = self.config.labels.iter();
        labels.find_map(|label| label.strip_prefix("bundle=").map(PathBuf::from))
    }
}

/// The state of a container that crun was called for without an engine.
#[derive(Deserialize)]
struct CrunStatus {
    bundle: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ID: &str = "3fa0b6a1c2d3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccdd";
    const POD: &str = "446c65ab43d490ab8d7f693a46050db88f66a2bf657eda0c3de8bc8bab516be4";

    /// A machine with these files, in whose paths and texts `@ID` and `@POD` stand for ids.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let machine = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let named = |text: &str| text.replace("@ID", ID).replace("@POD", POD);
            let path = machine.path().join(named(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, named(text)).unwrap();
        }
        machine
    }

    /// The descriptions of a container whose bundle is there: while it starts, and while it runs.
    fn described(machine: &Path, engine: Engine, bundle: &str) -> [Description; 2] {
        let descriptions = Descriptions::of(machine, Facts::All);
        let bundle = machine.join(bundle.replace("@ID", ID));
        let container = NewContainer {
            id: ID,
            bundle: &bundle,
            pid: Some(Pid(9)),
        };
        let configuration = read(&bundle.join(CONFIGURATION));
        let running = RunningContainer {
            engine,
            id: ID.to_owned(),
            name: None,
            pid: Pid(9),
        };
        [
            descriptions.of_new(container, configuration),
            descriptions.of_running(&running),
        ]
    }

    /// The names (without the id), the images, the namespace and the mark of a container.
    fn facts(description: &Description) -> (Vec<&str>, Vec<&str>, Option<&str>, Option<Mark>) {
        let Description {
            names,
            images,
            namespace,
            declined_by,
            ..
        } = description;
        let names = names.iter().filter(|name| *name != ID);
        (
            names.map(String::as_str).collect(),
            images.iter().map(String::as_str).collect(),
            namespace.as_deref(),
            *declined_by,
        )
    }

    #[test]
    fn a_container_of_docker_is_known_by_its_labels_and_the_image_that_its_user_named() {
        let bundle = "run/containerd/io.containerd.runtime.v2.task/moby/@ID";
        let machine = machine(&[
            (
                &format!("{bundle}/config.json"),
                r#"{"ociVersion":"1.2.0","annotations":null}"#,
            ),
            (
                "var/lib/docker/containers/@ID/config.v2.json",
                r#"{"ID":"@ID","Config":{"Hostname":"3fa0b6a1c2d3","Image":"gcr.io/cadvisor/cadvisor:v0.49.1","Volumes":null,"Labels":{"com.docker.compose.project":"mon","plimsoll.io/view":"false"}},"Image":"sha256:00","Name":"/cadvisor"}"#,
            ),
        ]);
        for found in described(machine.path(), Engine::Docker, bundle) {
            let image = "gcr.io/cadvisor/cadvisor:v0.49.1";
            let expected = (vec!["cadvisor"], vec![image], None, Some(Mark::Label));
            assert_eq!(facts(&found), expected);
        }
    }

    #[test]
    fn a_pod_of_cri_dockerd_declines_the_view_by_an_annotation_that_is_a_label_of_its_sandbox() {
        let bundle = "run/containerd/io.containerd.runtime.v2.task/moby/@ID";
        let machine = machine(&[
            (&format!("{bundle}/config.json"), "{}"),
            (
                "var/lib/docker/containers/@ID/config.v2.json",
                r#"{"Config":{"Image":"sha256:11","Labels":{"io.kubernetes.pod.namespace":"mon","io.kubernetes.sandbox.id":"@POD"}},"Name":"/k8s_agent_agent-0_mon"}"#,
            ),
            (
                "var/lib/docker/containers/@POD/config.v2.json",
                r#"{"Config":{"Labels":{"annotation.plimsoll.io/view":"false"}},"Name":"/k8s_POD_agent-0_mon"}"#,
            ),
        ]);
        for found in described(machine.path(), Engine::Docker, bundle) {
            let names = vec!["k8s_agent_agent-0_mon"];
            let expected = (names, vec!["sha256:11"], Some("mon"), Some(Mark::Pod));
            assert_eq!(facts(&found), expected);
        }
    }

    #[test]
    fn a_container_of_podman_is_known_by_its_annotation_and_its_storage() {
        let storage = "var/lib/containers/storage/overlay-containers";
        let bundle = format!("{storage}/@ID/userdata");
        let machine = machine(&[
            (
                &format!("{bundle}/config.json"),
                r#"{"annotations":{"io.container.manager":"libpod","org.opencontainers.image.stopSignal":"15","plimsoll.io/view":"false"}}"#,
            ),
            (
                &format!("{storage}/containers.json"),
                r#"[{"id":"@ID","names":["node"],"image":"00","layer":"11","metadata":"{\"image-name\":\"quay.io/prometheus/node-exporter:latest\",\"image-id\":\"00\",\"name\":\"node\"}","created":"2024-05-01T00:00:00Z"}]"#,
            ),
        ]);
        for found in described(machine.path(), Engine::Podman, &bundle) {
            let image = "quay.io/prometheus/node-exporter:latest";
            let expected = (vec!["node"], vec![image], None, Some(Mark::Annotation));
            assert_eq!(facts(&found), expected);
        }
    }

    #[test]
    fn a_container_of_a_pod_of_containerd_is_known_by_its_annotations_and_its_sandboxs() {
        let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
        let bundle = format!("{tasks}/@ID");
        let machine = machine(&[
            (
                &format!("{bundle}/config.json"),
                r#"{"annotations":{"io.kubernetes.cri.container-name":"agent","io.kubernetes.cri.container-type":"container","io.kubernetes.cri.image-name":"docker.io/grafana/agent:v0.40","io.kubernetes.cri.sandbox-id":"@POD","io.kubernetes.cri.sandbox-name":"agent-0","io.kubernetes.cri.sandbox-namespace":"monitoring"}}"#,
            ),
            (
                &format!("{tasks}/@POD/config.json"),
                r#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-id":"@POD","plimsoll.io/view":"false"}}"#,
            ),
        ]);
        for found in described(machine.path(), Engine::Containerd, &bundle) {
            let names = vec!["monitoring/agent-0/agent"];
            let images = vec!["docker.io/grafana/agent:v0.40"];
            let expected = (names, images, Some("monitoring"), Some(Mark::Pod));
            assert_eq!(facts(&found), expected);
        }
    }

    #[test]
    fn a_container_of_cri_o_is_known_by_its_annotations_and_those_of_its_pod() {
        let run = "run/containers/storage/overlay-containers";
        let bundle = format!("{run}/@ID/userdata");
        let machine = machine(&[
            (
                &format!("{bundle}/config.json"),
                r#"{"annotations":{"io.container.manager":"cri-o","io.kubernetes.container.name":"coredns","io.kubernetes.cri-o.ImageName":"registry.k8s.io/coredns/coredns:v1.11.1","io.kubernetes.cri-o.SandboxID":"@POD","io.kubernetes.pod.name":"coredns-x","io.kubernetes.pod.namespace":"kube-system","io.kubernetes.cri-o.Annotations":"{\"io.kubernetes.container.restartCount\":\"0\"}"}}"#,
            ),
            (
                &format!("{run}/@POD/userdata/config.json"),
                r#"{"annotations":{"io.kubernetes.cri-o.Annotations":"{\"plimsoll.io/view\":\"false\"}","io.kubernetes.cri-o.SandboxID":"@POD"}}"#,
            ),
        ]);
        for found in described(machine.path(), Engine::Crio, &bundle) {
            let names = vec!["kube-system/coredns-x/coredns"];
            let images = vec!["registry.k8s.io/coredns/coredns:v1.11.1"];
            let expected = (names, images, Some("kube-system"), Some(Mark::Pod));
            assert_eq!(facts(&found), expected);
        }
    }

    #[test]
    fn a_container_of_containerd_without_a_pod_has_the_namespace_of_containerd() {
        let bundle = "run/containerd/io.containerd.runtime.v2.task/default/@ID";
        let text = r#"{"annotations":{"nerdctl/name":"web"}}"#;
        let machine = machine(&[(&format!("{bundle}/config.json"), text)]);
        for found in described(machine.path(), Engine::Containerd, bundle) {
            assert_eq!(facts(&found), (vec!["web"], vec![], Some("default"), None));
        }
    }

    #[test]
    fn a_container_of_a_bare_runtime_is_known_by_the_bundle_that_the_runtime_remembers() {
        let text = r#"{"annotations":{"plimsoll.io/view":"false"}}"#;
        for (path, state) in [
            (
                "run/runc/@ID/state.json",
                r#"{"id":"@ID","config":{"labels":["plimsoll.io/view=false","bundle=/srv/box"]}}"#,
            ),
            (
                "run/crun/@ID/status",
                r#"{"pid":9,"bundle":"/srv/box","rootfs":"/srv/box/rootfs"}"#,
            ),
        ] {
            let machine = machine(&[(path, state), ("srv/box/config.json", text)]);
            for found in described(machine.path(), Engine::Runc, "srv/box") {
                assert_eq!(found.declined_by, Some(Mark::Annotation), "{path}");
            }
        }
    }

    #[test]
    fn a_container_of_lxc_has_its_name_and_on_proxmox_also_its_hosts() {
        let machine = machine(&[("etc/pve/lxc/101.conf", "arch: amd64\nhostname: web\n")]);
        let descriptions = Descriptions::of(machine.path(), Facts::All);
        assert_eq!(descriptions.of_lxc("101").names, ["web", "101"]);
        assert_eq!(descriptions.of_lxc("box").names, ["box"]);
    }
}
