//! The containers that run on a machine, from facts of the kernel and the engines' own files. No
//! engine is asked, and none has to answer.

use super::{
    names,
    shapes::{Label, is_long, labelled},
    table::Engine,
};
use crate::{
    base::units::Pid,
    facts::{cgroup::Membership, host::parse::ns_pids},
};
use std::{collections::BTreeMap, fs, io, path::Path};

/// The digits of a long id that engines show.
const SHOWN_DIGITS: usize = 12;
/// The least number of letters by which [`find`] recognises the beginning of an id.
const MIN_PREFIX: usize = 4;

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunningContainer {
    /// The engine that runs the container.
    pub engine: Engine,
    /// The id, unique among the engine's containers.
    pub id: String,
    /// The name that people use, where the engine keeps one beside the id and the name can be read.
    pub name: Option<String>,
    /// The first process, in this process's pid namespace.
    pub pid: Pid,
}

impl RunningContainer {
    /// Returns the name for people: the container's name, else its id, of which a long one is cut
    /// to 12 digits as engines do.
    #[must_use]
    pub fn shown(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None if is_long(&self.id) => self.id.get(..SHOWN_DIGITS).unwrap_or(&self.id),
            None => &self.id,
        }
    }
}

/// The error of a query for a container that has no unique result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No container has the queried name or id.
    #[error("no container is called {0}: name one that runs, by its name, its id or --pid")]
    None(String),
    /// More than one container has the queried name or id.
    #[error("more than one container is called {0}: {1}; name one by its id")]
    Several(String, String),
}

/// Finds the container that has `query` as its name or id, or whose long id begins with `query` (of
/// at least 4 letters).
///
/// # Errors
/// [`FindError`] when no container matches, or more than one does.
pub fn find<'a>(
    containers: &'a [RunningContainer],
    query: &str,
) -> Result<&'a RunningContainer, FindError> {
    let is_exact = |container: &&RunningContainer| {
        container.id == query || container.name.as_deref() == Some(query)
    };
    let mut found: Vec<&RunningContainer> = containers.iter().filter(is_exact).collect();
    if found.is_empty() && query.len() >= MIN_PREFIX {
        let begins = |container: &&RunningContainer| {
            is_long(&container.id) && container.id.starts_with(query)
        };
        found = containers.iter().filter(begins).collect();
    }
    match found.as_slice() {
        [] => Err(FindError::None(query.to_owned())),
        [container] => Ok(container),
        several => {
            let ids = several
                .iter()
                .map(|one| format!("{} {}", one.engine, one.id));
            let ids: Vec<String> = ids.collect();
            Err(FindError::Several(query.to_owned(), ids.join(", ")))
        }
    }
}

/// Lists every container of an engine that runs on the machine whose root directory is `root`,
/// ordered by engine and id.
///
/// # Errors
/// When the processes of the machine cannot be listed. A process that ends during the listing is
/// left out.
pub fn all(root: &Path) -> io::Result<Vec<RunningContainer>> {
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
        // The init of a pid namespace ranks before any other process, then an older process before a
        // younger one.
        let rank = (!is_init(&process), pid);
        let best = found.entry(label).or_insert(rank);
        *best = rank.min(*best);
    }
    let containers = found.into_iter().map(|(label, (_, pid))| RunningContainer {
        name: names::name(root, &label),
        engine: label.engine,
        id: label.id,
        pid,
    });
    Ok(containers.collect())
}

fn label(root: &Path, process: &Path) -> Option<Label> {
    let text = fs::read_to_string(process.join("cgroup")).ok()?;
    let membership = Membership::parse(&text);
    let paths = || membership.living().filter_map(|path| path.to_str());
    let known = paths().find_map(labelled);
    known
        .map(|label| names::incus_or_lxc(root, label))
        .or_else(|| paths().find_map(|path| names::containerd_task(root, path)))
}

fn is_init(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    ns_pids(&status).last() == Some(&Pid(1))
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
        process(root, Pid(95), "/lxc.payload.team_app/init.scope", "1");
        file(root, "var/lib/incus/containers/team_app/backup.yaml", "");
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
                (Engine::Lxc, "box", Pid(92)),
                (Engine::Incus, "team_app", Pid(95))
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
        all.push(RunningContainer {
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

    #[test]
    fn a_zombie_in_a_cgroup_that_was_removed_is_no_container() {
        let machine = tempfile::tempdir().unwrap();
        let cgroup = format!("/system.slice/docker-{ID}.scope (deleted)");
        process(machine.path(), Pid(90), &cgroup, "1");
        assert_eq!(all(machine.path()).unwrap(), []);
    }
}
