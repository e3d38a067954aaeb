//! Facts about one container that rules can name: its names, image, namespace, and the annotation or
//! label that declines the view.
//!
//! They are in the container's OCI configuration and beside it: in the configuration of its pod's
//! sandbox, in Docker's `config.v2.json`, and in the `containers.json` of Podman's storage. No file
//! holds the labels of a container of Podman or containerd.

use super::{
    configuration::ContainerConfiguration,
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

/// The facts about a container that rules can name. A fact that no file holds is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The name and the id.
    pub names: Vec<String>,
    /// The image, in each way in which the engine names it.
    pub images: Vec<String>,
    /// The namespace of Kubernetes, or that of containerd for a container of no pod.
    pub namespace: Option<String>,
    /// The text that declines the view.
    pub declined_by: Option<Mark>,
    /// The container's OCI configuration; empty where it cannot be read.
    pub configuration: ContainerConfiguration,
}

/// The text by which a container declines the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// An annotation of the container.
    Annotation,
    /// A label of the container.
    Label,
    /// An annotation or label of the container's pod.
    Pod,
}

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
        let names = container.name.iter().chain([&container.id]).cloned();
        // The id of a container that no engine is known to keep is the path of its cgroup.
        let id = container.id.rsplit('/').next().unwrap_or_default();
        let bundle = self.bundle(id, &cgroup);
        let configuration = bundle
            .as_ref()
            .and_then(|bundle| read(&bundle.join(CONFIGURATION)));
        let mut found = self.described(id, bundle.as_deref(), &cgroup, configuration);
        found.names.extend(names);
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
        let configuration = configuration.unwrap_or_default();
        let annotations = &configuration.annotations;
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
            docker.as_ref().map(Docker::name),
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
    /// Its bundle lies beside that of the other containers.
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
        let run = root.join("run/containers/storage/overlay-containers");
        let stored = storages.chain([run]);
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
