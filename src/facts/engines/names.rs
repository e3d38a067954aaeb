//! The engines and the names of containers, from the files in which the engines keep them.

use super::{
    configuration::Annotations,
    places::{Places, is_name},
    shapes::{Label, is_long},
    stored::{open, text},
    table::Engine,
};
use crate::base::tolerant::{self, Tolerant, understood};
use serde::Deserialize;
use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// The namespace of containerd in which Docker's containers are.
pub(super) const DOCKERS_NAMESPACE: &str = "moby";
/// The longest id of a container in bytes: it is the name of a cgroup (`NAME_MAX`).
const MAX_ID: usize = 255;
/// The directories of containers in a storage of Podman, by the driver of the storage.
const STORED: [&str; 4] = [
    "overlay-containers",
    "vfs-containers",
    "btrfs-containers",
    "zfs-containers",
];

/// The names of containers. A file with the names of many containers is read once.
#[derive(Debug)]
pub(super) struct Names {
    places: Places,
    /// The containers in files of Podman, by file and id.
    podman: RefCell<NamesIn<Stored>>,
    /// The names in data directories of nerdctl, by directory and id.
    nerdctl: RefCell<NamesIn<String>>,
}

/// The names by file or directory, and there by id.
type NamesIn<T> = HashMap<PathBuf, HashMap<String, T>>;

impl Names {
    /// The names that the engines with those directories keep now.
    pub(super) fn of(places: Places) -> Names {
        Names {
            places,
            podman: RefCell::default(),
            nerdctl: RefCell::default(),
        }
    }

    /// Returns the directories of the engines.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Returns the name of the container with that label at `cgroup`; `None` where the engine keeps
    /// no name beside the id, or its file cannot be read.
    pub(super) fn name(&self, label: &Label, cgroup: &str) -> Option<String> {
        let name = match label.engine {
            Engine::Podman => self
                .stored(&label.id, cgroup)
                .and_then(|stored| stored.name()),
            Engine::Containerd => {
                let task = task(&self.places, &label.id);
                let path = task.map(|task| task.directory.join("config.json"));
                let named = path.and_then(|path| configured_name(&path));
                named.or_else(|| self.nerdctl(&label.id, cgroup))
            }
            _ => own_name(&self.places, label, cgroup),
        };
        // A user of a rootless engine chooses its text.
        name.filter(|name| !name.is_empty() && !name.contains(char::is_control))
    }

    /// Returns the entry of the container with that id in the storage of a Podman.
    pub(super) fn stored(&self, id: &str, cgroup: &str) -> Option<Stored> {
        let mut storages = self.places.podman(cgroup).flat_map(drivers);
        storages.find_map(|storage| self.stored_in(&storage, id))
    }

    /// Returns the entry of the container with that id in `storage`, a directory of containers.
    pub(super) fn stored_in(&self, storage: &Path, id: &str) -> Option<Stored> {
        let mut known = self.podman.borrow_mut();
        let files = ["containers.json", "volatile-containers.json"].iter();
        let mut files = files.map(|file| storage.join(file));
        files.find_map(|path| {
            let entries = known.entry(path).or_insert_with_key(|path| {
                let all = understood(read::<Vec<Tolerant<Stored>>>(path).unwrap_or_default());
                // Of two entries with one id, the first one counts.
                let all = all.into_iter().rev();
                all.map(|stored| (stored.id.clone(), stored)).collect()
            });
            entries.get(id).cloned()
        })
    }

    fn nerdctl(&self, id: &str, cgroup: &str) -> Option<String> {
        let mut known = self.nerdctl.borrow_mut();
        self.places.nerdctl(cgroup).find_map(|data| {
            let names = known.entry(data).or_insert_with_key(|data| nerdctls(data));
            names.get(id).cloned()
        })
    }
}

/// Returns the directories of containers in a storage of Podman.
pub(super) fn drivers(storage: PathBuf) -> impl Iterator<Item = PathBuf> {
    STORED.into_iter().map(move |driver| storage.join(driver))
}

/// Returns what Docker keeps about the container with that id.
pub(super) fn docker(places: &Places, id: &str, cgroup: &str) -> Option<Docker> {
    let mut kept = places.docker(id, cgroup);
    kept.find_map(|path| read(&path.join("config.v2.json")))
}

/// Returns the name in a file that holds the name of that container alone.
fn own_name(places: &Places, label: &Label, cgroup: &str) -> Option<String> {
    let id = &label.id;
    Some(match label.engine {
        Engine::Docker => docker(places, id, cgroup)?.name()?,
        Engine::Crio => {
            let mut kept = places.run();
            kept.find_map(|run| configured_name(&run.join(id).join("userdata/config.json")))?
        }
        Engine::Lxc => {
            let settings = text(&places.root().join(format!("etc/pve/lxc/{id}.conf")));
            // The settings of the container's snapshots follow, each in a section.
            let mut own = settings.lines().take_while(|line| !line.starts_with('['));
            own.find_map(|line| line.strip_prefix("hostname:"))?
                .trim()
                .to_owned()
        }
        // No project has a `_` in its name, and no container.
        Engine::Incus => id.split_once('_')?.1.to_owned(),
        _ => return None,
    })
}

/// Returns the label with the engine that keeps the container at `cgroup`: several engines name
/// their cgroups alike. Where no engine is known to keep it, the label stays.
pub(super) fn of_keeper(places: &Places, label: Label, cgroup: &str) -> Label {
    let engine = match label.engine {
        Engine::Lxc => return lxc(places, label),
        Engine::Containerd | Engine::Other if is_long(&label.id) => {
            let id = &label.id;
            if places.docker(id, cgroup).any(|path| path.is_dir()) {
                Engine::Docker
            } else if let Some(task) = task(places, id) {
                match task.namespace.as_str() {
                    DOCKERS_NAMESPACE => Engine::Docker,
                    _ => Engine::Containerd,
                }
            } else if places.run().any(|run| run.join(id).is_dir()) {
                match cgroup.contains("kubepods") {
                    true => Engine::Crio,
                    false => Engine::Podman,
                }
            } else {
                label.engine
            }
        }
        other => other,
    };
    Label { engine, ..label }
}

/// Returns the container of LXC, LXD or Incus. LXC appends a number to the name of a cgroup whose
/// name is taken.
fn lxc(places: &Places, label: Label) -> Label {
    let incus = places.root().join("var/lib/incus/containers");
    let is_incus = |id: &str| is_name(id) && incus.join(id).symlink_metadata().is_ok();
    let is_kept = |id: &str| is_incus(id) || places.has_lxc(id);
    let (plain, number) = label.id.rsplit_once('-').unwrap_or((&label.id, ""));
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    let id = match is_number && !is_kept(&label.id) && is_kept(plain) {
        true => plain.to_owned(),
        false => label.id,
    };
    let engine = match is_incus(&id) {
        true => Engine::Incus,
        false => Engine::Lxc,
    };
    Label { engine, id }
}

/// Returns containerd's container with that cgroup, if containerd has a task of the path's last
/// two names: its clients choose the names, so no shape distinguishes them.
pub(super) fn containerd_task(places: &Places, cgroup: &str) -> Option<Label> {
    let mut parts = cgroup.rsplit('/').filter(|part| !part.is_empty());
    let (id, namespace) = (parts.next()?, parts.next()?);
    let is_task = is_name(id) && is_name(namespace);
    let mut tasks = places.containerd();
    let engine = Engine::Containerd;
    (is_task && tasks.any(|all| all.join(namespace).join(id).is_dir())).then(|| Label {
        engine,
        id: id.to_owned(),
    })
}

/// A container of containerd that runs.
pub(super) struct Task {
    namespace: String,
    /// The bundle.
    pub(super) directory: PathBuf,
}

/// Returns the task with that id, in whatever namespace of containerd.
pub(super) fn task(places: &Places, id: &str) -> Option<Task> {
    let namespaces = places.containerd().filter_map(|all| fs::read_dir(all).ok());
    let mut tasks = namespaces.flatten().flatten().map(|entry| Task {
        namespace: entry.file_name().to_string_lossy().into_owned(),
        directory: entry.path().join(id),
    });
    tasks.find(|task| is_name(id) && task.directory.is_dir())
}

/// Returns the names in nerdctl's files `HASH/names/NAMESPACE/NAME` below `data`, by the id that each
/// holds.
fn nerdctls(data: &Path) -> HashMap<String, String> {
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let hashes = entries(data.to_owned());
    let namespaces = hashes.flat_map(|hash| entries(hash.path().join("names")));
    let files = namespaces.flat_map(|namespace| entries(namespace.path()));
    let mut names = HashMap::new();
    for file in files {
        let text = text(&file.path());
        let (id, name) = (text.trim(), file.file_name().into_string());
        if let Ok(name) = name
            && id.len() <= MAX_ID
        {
            names.entry(id.to_owned()).or_insert(name);
        }
    }
    names
}

/// Returns the name of a container in its OCI configuration: `NAMESPACE/POD/CONTAINER` of a pod, or
/// the name that nerdctl gave it.
fn configured_name(path: &Path) -> Option<String> {
    read::<Configuration>(path)?.annotations.name()
}

pub(super) fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_reader(open(path).ok()?).ok()
}

/// A container as Docker keeps it, in `config.v2.json`.
#[derive(Deserialize)]
pub(super) struct Docker {
    #[serde(default, rename = "Name")]
    name: Tolerant<String>,
    /// The part that the image and the caller of Docker gave.
    #[serde(rename = "Config", default, deserialize_with = "tolerant::or_default")]
    pub(super) config: DockerConfiguration,
}

/// The part of a container of Docker that the image and the caller of Docker gave.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DockerConfiguration {
    /// The image, as the caller named it.
    #[serde(deserialize_with = "tolerant::or_default")]
    pub(super) image: Option<String>,
    /// The labels.
    #[serde(deserialize_with = "tolerant::or_default")]
    pub(super) labels: Annotations,
}

impl Docker {
    /// Returns the name, without the slash that Docker keeps before it.
    pub(super) fn name(&self) -> Option<String> {
        let name = self.name.0.as_deref()?;
        Some(name.trim_start_matches('/').to_owned())
    }
}

/// A container as Podman's storage keeps it, in `containers.json`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Stored {
    id: String,
    #[serde(default)]
    names: Tolerant<Vec<Tolerant<String>>>,
    /// JSON with the name of the image.
    #[serde(default)]
    metadata: Tolerant<String>,
}

#[derive(Deserialize)]
struct StoredMetadata {
    #[serde(default, rename = "image-name")]
    image: Tolerant<String>,
}

impl Stored {
    /// Returns the first name.
    pub(super) fn name(&self) -> Option<String> {
        let mut names = self.names.0.iter().flatten();
        names.find_map(|name| name.0.clone())
    }

    /// Returns the name of the image.
    pub(super) fn image(&self) -> Option<String> {
        let metadata = serde_json::from_str::<StoredMetadata>(self.metadata.0.as_deref()?);
        metadata.ok()?.image.0
    }
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default, deserialize_with = "tolerant::or_default")]
    annotations: Annotations,
}

#[cfg(test)]
mod tests {
    use super::{super::stored::MAX_FILE, *};
    use crate::base::tolerant::ODD_VALUES;
    use std::fs;

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn label(engine: Engine, id: &str) -> Label {
        let id = id.to_owned();
        Label { engine, id }
    }

    /// The name of a container of that engine, where one file of the machine has that text.
    fn named(engine: Engine, id: &str, cgroup: &str, (path, text): (&str, &str)) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), path, text);
        file(
            root.path(),
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\n",
        );
        Names::of(Places::of(root.path())).name(&label(engine, id), cgroup)
    }

    fn named_by_configuration(configuration: &str) -> Option<String> {
        let path = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
        named(Engine::Containerd, ID, "/", (&path, configuration))
    }

    const NAMES: &str = r#""io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.container-name":"app""#;

    #[test]
    fn a_container_of_a_pod_is_named_whatever_else_its_configuration_holds() {
        let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        for before in ["", r#""x":"y","#] {
            let text = format!(r#"{{"deep":{deep},"annotations":{{{before}{NAMES}}}}}"#);
            let name = named_by_configuration(&text);
            assert_eq!(name.as_deref(), Some("shop/web-0/app"));
        }
        assert_eq!(named_by_configuration("{}"), None);
    }

    #[test]
    fn an_odd_annotation_costs_only_itself() {
        for odd in ODD_VALUES {
            let twice = r#""io.kubernetes.pod.namespace":"other""#;
            let text = format!(
                r#"{{"annotations":{{"x":{odd},{twice},"io.kubernetes.pod.name":{odd},{NAMES},"nerdctl/name":{odd}}},"process":{odd}}}"#
            );
            let name = named_by_configuration(&text);
            assert_eq!(name.as_deref(), Some("shop/web-0/app"), "{odd}");
            assert_eq!(
                named_by_configuration(&format!(r#"{{"annotations":{odd}}}"#)),
                None
            );
        }
    }

    #[test]
    fn an_odd_container_in_the_list_of_podman_costs_no_other_its_name() {
        let path = "var/lib/containers/storage/overlay-containers/containers.json";
        let own = format!(r#"{{"id":"{ID}","names":["web"]}}"#);
        for odd in ODD_VALUES {
            for list in [
                format!(r#"[{odd},{own}]"#),
                format!(r#"[{own},{odd}]"#),
                format!(r#"[{{"id":{odd},"names":["a"]}},{own}]"#),
                format!(r#"[{{"id":"b","names":{odd}}},{own}]"#),
                format!(r#"[{{"id":"{ID}","names":[{odd},"web"],"created":{odd}}}]"#),
            ] {
                let name = named(Engine::Podman, ID, "/", (path, &list));
                assert_eq!(name.as_deref(), Some("web"), "{list}");
            }
            // A name that is none is as good as no name.
            let nameless = format!(r#"[{{"id":"{ID}","names":{odd}}}]"#);
            assert_eq!(named(Engine::Podman, ID, "/", (path, &nameless)), None);
        }
    }

    #[test]
    fn a_file_that_ends_too_early_names_nothing_and_stops_nothing() {
        let path = "var/lib/containers/storage/overlay-containers/containers.json";
        let list = format!(r#"[{{"id":"{ID}","names":["web"]}}]"#);
        for end in 0..list.len() {
            assert_eq!(named(Engine::Podman, ID, "/", (path, &list[..end])), None);
        }
        let path = format!("var/lib/docker/containers/{ID}/config.v2.json");
        for text in [
            r#"{"Name":7}"#,
            r#"{"Name":null}"#,
            "[]",
            r#"{"Name":"/web""#,
        ] {
            assert_eq!(
                named(Engine::Docker, ID, "/", (&path, text)),
                None,
                "{text}"
            );
        }
        let odd = r#"{"State":1e999,"Name":"/web","Config":[{}]}"#;
        let name = named(Engine::Docker, ID, "/", (&path, odd));
        assert_eq!(name.as_deref(), Some("web"));
    }

    #[test]
    fn a_configuration_that_is_larger_than_any_names_nothing() {
        let huge = " ".repeat(usize::try_from(MAX_FILE).unwrap());
        let text = format!(r#"{huge}{{"annotations":{{{NAMES}}}}}"#);
        assert_eq!(named_by_configuration(&text), None);
    }

    #[test]
    fn a_container_has_the_name_that_its_engine_shows_wherever_the_engine_keeps_it() {
        let user = "/user.slice/user-1000.slice/user@1000.service/user.slice/x.scope";
        let docker = r#"{"Name":"/web"}"#;
        let podman = &format!(r#"[{{"id":"{ID}","names":["web"]}}]"#);
        let nerdctl = r#"{"annotations":{"nerdctl/name":"web"}}"#;
        for (engine, id, cgroup, path, text) in [
            (
                Engine::Docker,
                ID,
                "/",
                "var/lib/docker/containers/ID/config.v2.json",
                docker,
            ),
            (
                Engine::Docker,
                ID,
                "/",
                "var/snap/docker/common/var-lib-docker/containers/ID/config.v2.json",
                docker,
            ),
            (
                Engine::Docker,
                ID,
                user,
                "home/ann/.local/share/docker/containers/ID/config.v2.json",
                docker,
            ),
            (
                Engine::Podman,
                ID,
                "/",
                "var/lib/containers/storage/overlay-containers/containers.json",
                podman,
            ),
            (
                Engine::Podman,
                ID,
                "/",
                "var/lib/containers/storage/vfs-containers/containers.json",
                podman,
            ),
            (
                Engine::Podman,
                ID,
                user,
                "home/ann/.local/share/containers/storage/overlay-containers/containers.json",
                podman,
            ),
            (
                Engine::Containerd,
                ID,
                "/",
                "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json",
                nerdctl,
            ),
            (
                Engine::Containerd,
                ID,
                user,
                "home/ann/.local/share/nerdctl/1935db59/names/default/web",
                ID,
            ),
            (
                Engine::Lxc,
                "101",
                "/",
                "etc/pve/lxc/101.conf",
                "arch: amd64\nhostname: web\n\n[snap]\nhostname: old\n",
            ),
            (Engine::Incus, "team_web", "/", "x", ""),
        ] {
            let path = path.replace("ID", ID);
            let name = named(engine, id, cgroup, (&path, text));
            assert_eq!(name.as_deref(), Some("web"), "{engine} {path}");
        }
    }

    #[test]
    fn a_name_that_would_write_to_the_terminal_is_none() {
        let podman = format!(r#"[{{"id":"{ID}","names":["\u001b[2J"]}}]"#);
        let path = "var/lib/containers/storage/overlay-containers/containers.json";
        assert_eq!(named(Engine::Podman, ID, "/", (path, &podman)), None);
    }

    #[test]
    fn a_file_with_the_names_of_many_containers_is_read_once_for_all() {
        let root = tempfile::tempdir().unwrap();
        let podman = "var/lib/containers/storage/overlay-containers/containers.json";
        let nerdctl = "var/lib/nerdctl/1935db59/names/default/web";
        file(
            root.path(),
            podman,
            r#"[{"id":"a","names":["one"]},{"id":"b","names":["two"]},{"id":"c"}]"#,
        );
        file(root.path(), nerdctl, "a");
        let names = Names::of(Places::of(root.path()));
        let name = |engine, id| names.name(&label(engine, id), "/");
        assert_eq!(name(Engine::Podman, "a").as_deref(), Some("one"));
        assert_eq!(name(Engine::Containerd, "a").as_deref(), Some("web"));
        for path in [podman, nerdctl] {
            fs::remove_file(root.path().join(path)).unwrap();
        }
        assert_eq!(name(Engine::Podman, "b").as_deref(), Some("two"));
        assert_eq!(name(Engine::Podman, "c"), None);
        assert_eq!(name(Engine::Containerd, "a").as_deref(), Some("web"));
        let later = Names::of(Places::of(root.path()));
        assert_eq!(later.name(&label(Engine::Podman, "b"), "/"), None);
    }

    #[test]
    fn a_moved_data_directory_is_followed() {
        let root = tempfile::tempdir().unwrap();
        file(
            root.path(),
            "etc/docker/daemon.json",
            r#"{"data-root":"/srv/docker"}"#,
        );
        file(
            root.path(),
            &format!("srv/docker/containers/{ID}/config.v2.json"),
            r#"{"Name":"/web"}"#,
        );
        file(
            root.path(),
            "etc/containers/storage.conf",
            "[storage]\ngraphroot = \"/srv/pods\"\n",
        );
        file(
            root.path(),
            "srv/pods/overlay-containers/containers.json",
            &format!(r#"[{{"id":"{ID}","names":["db"]}}]"#),
        );
        let names = Names::of(Places::of(root.path()));
        let name = |engine| names.name(&label(engine, ID), "/");
        assert_eq!(name(Engine::Docker).as_deref(), Some("web"));
        assert_eq!(name(Engine::Podman).as_deref(), Some("db"));
    }

    #[test]
    fn a_directory_that_a_flag_of_the_service_names_is_followed() {
        for (flags, docker) in [
            ("--data-root=/srv/docker", "srv/docker"),
            ("--config-file /srv/d.json", "srv/other"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let put = |path: &str, text: &str| file(root.path(), path, text);
            let units = "etc/systemd/system";
            let line = format!("[Service]\nExecStart=/usr/bin/dockerd {flags}\n");
            put(&format!("{units}/docker.service"), &line);
            put("srv/d.json", r#"{"data-root":"/srv/other"}"#);
            let stored = format!("{docker}/containers/{ID}/config.v2.json");
            put(&stored, r#"{"Name":"/web"}"#);
            let line = "[Service]\nExecStart=/usr/bin/crio --runroot /srv/run\n";
            put(&format!("{units}/crio.service"), line);
            let stored = format!("srv/run/overlay-containers/{ID}/userdata/config.json");
            let names = r#"{"annotations":{"io.kubernetes.pod.namespace":"kube-system","io.kubernetes.pod.name":"dns","io.kubernetes.container.name":"coredns"}}"#;
            put(&stored, names);
            let names = Names::of(Places::of(root.path()));
            let name = |engine| names.name(&label(engine, ID), "/");
            assert_eq!(name(Engine::Docker).as_deref(), Some("web"));
            let name = name(Engine::Crio);
            assert_eq!(name.as_deref(), Some("kube-system/dns/coredns"));
        }
    }

    #[test]
    fn the_engine_that_keeps_a_container_is_the_containers_engine() {
        let pod = &format!("/kubepods/burstable/pod1/{ID}");
        for (path, found, cgroup, engine, id) in [
            (
                "var/lib/docker/containers/ID",
                Engine::Containerd,
                pod.as_str(),
                Engine::Docker,
                ID,
            ),
            (
                "var/lib/docker/containers/ID",
                Engine::Other,
                "/custom/ID",
                Engine::Docker,
                ID,
            ),
            (
                "run/containerd/io.containerd.runtime.v2.task/moby/ID",
                Engine::Other,
                "/custom/ID",
                Engine::Docker,
                ID,
            ),
            (
                "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID",
                Engine::Other,
                "/custom/ID",
                Engine::Containerd,
                ID,
            ),
            (
                "run/containers/storage/overlay-containers/ID",
                Engine::Containerd,
                pod,
                Engine::Crio,
                ID,
            ),
            (
                "run/containers/storage/overlay-containers/ID",
                Engine::Other,
                "/custom/ID",
                Engine::Podman,
                ID,
            ),
            ("x", Engine::Containerd, pod, Engine::Containerd, ID),
            (
                "var/lib/incus/containers/web",
                Engine::Lxc,
                "/",
                Engine::Incus,
                "web",
            ),
            ("var/lib/lxc/web", Engine::Lxc, "/", Engine::Lxc, "web"),
        ] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir_all(root.path().join(path.replace("ID", ID))).unwrap();
            let kept = of_keeper(&Places::of(root.path()), label(found, id), cgroup);
            assert_eq!(kept, label(engine, id), "{path}");
        }
    }

    #[test]
    fn a_number_that_lxc_appended_to_a_cgroups_name_is_no_part_of_the_containers_name() {
        let root = tempfile::tempdir().unwrap();
        for name in ["web", "db-1"] {
            fs::create_dir_all(root.path().join("var/lib/lxc").join(name)).unwrap();
        }
        let places = Places::of(root.path());
        for (cgroup, id) in [("web-1", "web"), ("db-1", "db-1"), ("other-1", "other-1")] {
            let kept = of_keeper(&places, label(Engine::Lxc, cgroup), "/");
            assert_eq!(kept.id, id);
        }
    }
}
