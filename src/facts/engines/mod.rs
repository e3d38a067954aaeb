//! The containers that the engines of this machine run, from what the kernel and they themselves
//! write down; no engine is asked, and none has to answer.
//!
//! | engine | its containers' cgroups | their names |
//! |---|---|---|
//! | docker | `docker-ID.scope`, `docker/ID` | `/var/lib/docker/containers/ID/config.v2.json` |
//! | podman | `libpod-ID.scope`, `libpod-ID` | `/var/lib/containers/storage/overlay-containers/containers.json` |
//! | containerd (CRI) | `cri-containerd-ID.scope`, `kubepods.../ID` | `/run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json` |
//! | containerd (ctr) | `NAMESPACE/ID`, where `/run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID` is | the id |
//! | CRI-O | `crio-ID.scope` | `/run/containers/storage/overlay-containers/ID/userdata/config.json` |
//! | LXC, Incus | `lxc.payload.NAME`, `lxc.payload/NAME` | the id |
//! | systemd-nspawn | `machine-NAME.scope`, `systemd-nspawn@NAME.service` | the id |

use crate::base::units::Pid;
mod names;
mod shapes;

pub use shapes::{Engine, Label, labelled};

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Container {
    /// Whose it is.
    pub engine: Engine,
    /// What the engine calls it, as no other one of its containers.
    pub id: String,
    /// What people call it, where that is something else and is known.
    pub name: Option<String>,
    /// Its first process, as this process counts pids.
    pub pid: Pid,
}

impl Container {
    /// Its name, else its id; a long one cut short as engines show it.
    #[must_use]
    pub fn shown(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None if is_long(&self.id) => self.id.get(..12).unwrap_or(&self.id),
            None => &self.id,
        }
    }
}

fn is_long(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|letter| letter.is_ascii_hexdigit())
}

/// Why a word does not lead to a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No container has such a name or id.
    #[error("no container is called {0}: name one that runs, by its name, its id or --pid")]
    None(String),
    /// Several have.
    #[error("more than one container is called {0}: {1}; name one by its id")]
    Several(String, String),
}

/// The container of that name, or with an id that begins so (from four letters on).
///
/// # Errors
/// When none has, or several have.
pub fn find<'a>(containers: &'a [Container], word: &str) -> Result<&'a Container, FindError> {
    let is_exact =
        |container: &&Container| container.id == word || container.name.as_deref() == Some(word);
    let mut found: Vec<&Container> = containers.iter().filter(is_exact).collect();
    if found.is_empty() && word.len() >= 4 {
        let begins =
            |container: &&Container| is_long(&container.id) && container.id.starts_with(word);
        found = containers.iter().filter(begins).collect();
    }
    match found.as_slice() {
        [] => Err(FindError::None(word.to_owned())),
        [container] => Ok(container),
        several => {
            let ids = several
                .iter()
                .map(|one| format!("{} {}", one.engine, one.id));
            let ids: Vec<String> = ids.collect();
            Err(FindError::Several(word.to_owned(), ids.join(", ")))
        }
    }
}

/// Every container of an engine that runs on the machine whose root directory is `root`.
///
/// # Errors
/// When its processes cannot be listed.
pub fn all(root: &Path) -> io::Result<Vec<Container>> {
    let mut found: BTreeMap<Label, (bool, Pid)> = BTreeMap::new();
    for entry in fs::read_dir(root.join("proc"))? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
            continue;
        };
        let process = root.join("proc").join(pid.to_string());
        let Some(label) = label(root, &process) else {
            continue;
        };
        // The init of a pid namespace before any other, the oldest before a younger one.
        let rank = (!is_init(&process), pid);
        let best = found.entry(label).or_insert(rank);
        *best = rank.min(*best);
    }
    let containers = found.into_iter().map(|(label, (_, pid))| Container {
        name: names::of(root, &label),
        engine: label.engine,
        id: label.id,
        pid,
    });
    Ok(containers.collect())
}

fn label(root: &Path, process: &Path) -> Option<Label> {
    let text = fs::read_to_string(process.join("cgroup")).ok()?;
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let paths: Vec<&str> = paths.collect();
    let known = paths.iter().find_map(|path| labelled(path));
    known.or_else(|| paths.iter().find_map(|path| names::task(root, path)))
}

fn is_init(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    pids.is_some_and(|pids| pids.split_whitespace().next_back() == Some("1"))
}

/// Where containerd keeps what it knows of the containers that run.
pub(crate) fn tasks(root: &Path) -> PathBuf {
    root.join("run/containerd/io.containerd.runtime.v2.task")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3fa0b6a1c2d3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccdd";

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn process(root: &Path, pid: Pid, cgroup: &str, inside: &str) {
        file(
            root,
            &format!("proc/{pid}/cgroup"),
            &format!("0::{cgroup}\n"),
        );
        let status = format!("Name:\tx\nNSpid:\t{pid}\t{inside}\n");
        file(root, &format!("proc/{pid}/status"), &status);
    }

    fn machine() -> tempfile::TempDir {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        process(root, Pid(1), "/init.scope", "");
        process(
            root,
            Pid(90),
            &format!("/system.slice/docker-{ID}.scope"),
            "7",
        );
        process(
            root,
            Pid(91),
            &format!("/system.slice/docker-{ID}.scope"),
            "1",
        );
        let config = format!("var/lib/docker/containers/{ID}/config.v2.json");
        file(
            root,
            &config,
            r#"{"ID": "x", "State": {"Pid": 91}, "Name": "/web"}"#,
        );
        process(root, Pid(92), "/lxc.payload.box/init.scope", "1");
        process(root, Pid(93), "/default/plain", "1");
        file(
            root,
            "run/containerd/io.containerd.runtime.v2.task/default/plain/init.pid",
            "93",
        );
        process(root, Pid(94), "/user.slice/plain", "1");
        machine
    }

    #[test]
    fn every_engines_containers_are_found_by_their_cgroups_with_their_first_process() {
        let machine = machine();
        let all = all(machine.path()).unwrap();
        let found = all.iter().map(|one| (one.engine, one.shown(), one.pid));
        let found: Vec<_> = found.collect();
        assert_eq!(
            found,
            [
                (Engine::Docker, "web", Pid(91)),
                (Engine::Containerd, "plain", Pid(93)),
                (Engine::Lxc, "box", Pid(92))
            ]
        );
    }

    #[test]
    fn a_container_is_found_by_name_id_and_the_beginning_of_its_id() {
        let machine = machine();
        let all = all(machine.path()).unwrap();
        for word in ["web", ID, "3fa0"] {
            assert_eq!(find(&all, word).unwrap().pid, Pid(91), "{word}");
        }
        for word in ["3fa", "wrong", "plai", ""] {
            assert!(
                matches!(find(&all, word), Err(FindError::None(_))),
                "{word}"
            );
        }
    }

    #[test]
    fn a_name_that_two_engines_have_leads_to_neither() {
        let mut all = all(machine().path()).unwrap();
        all.push(Container {
            engine: Engine::Podman,
            id: "a".repeat(64),
            name: Some("web".to_owned()),
            pid: Pid(7),
        });
        let said = find(&all, "web").unwrap_err().to_string();
        assert!(
            said.contains("docker 3fa0") && said.contains("podman aaaa"),
            "{said}"
        );
    }
}
