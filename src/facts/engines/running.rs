//! The containers that run on a machine, from facts of the kernel and the engines' own files. No
//! engine is asked, and none has to answer.

use super::{
    names::{self, Names},
    places::Places,
    shapes::{CgroupShape, Label, is_long, shape_of},
    strangers::{HostNamespaces, cgroups, is_init},
    table::Engine,
};
use crate::base::units::Pid;
use std::{collections::BTreeMap, fs, io, path::Path};

/// The digits of a long id that engines show.
const SHOWN_DIGITS: usize = 12;
/// The least number of letters by which [`find`] recognises the beginning of an id.
const MIN_PREFIX: usize = 4;
/// The least length of an id that is drawn at random, without the hyphens.
const UUID_DIGITS: usize = 32;

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

    /// Returns whether the container is called so: by its name, or, where it is named by its cgroup,
    /// by the path or the last name of the cgroup.
    fn is_named(&self, query: &str) -> bool {
        let is_of_cgroup = || {
            let path = self.id.trim_start_matches('/');
            let last = path.rsplit('/').next().unwrap_or(path);
            let unit = [".scope", ".service", ".slice"];
            let plain = unit.iter().find_map(|unit| last.strip_suffix(unit));
            query == path || query == last || plain == Some(query)
        };
        self.name.as_deref() == Some(query) || (self.engine == Engine::Other && is_of_cgroup())
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

/// Finds the container that has `query` as its id, else as its name, or else whose long id begins
/// with `query` (of at least 4 letters).
///
/// # Errors
/// [`FindError`] when no container matches, or more than one does.
pub fn find<'a>(
    containers: &'a [RunningContainer],
    query: &str,
) -> Result<&'a RunningContainer, FindError> {
    let by_id = |container: &RunningContainer| container.id == query;
    let by_name = |container: &RunningContainer| container.is_named(query);
    let by_beginning = |container: &RunningContainer| {
        query.len() >= MIN_PREFIX && is_drawn(&container.id) && container.id.starts_with(query)
    };
    let ways: [&dyn Fn(&RunningContainer) -> bool; 3] = [&by_id, &by_name, &by_beginning];
    let mut ways = ways.iter().map(|is_it| {
        let found = containers.iter().filter(|container| is_it(container));
        found.collect::<Vec<_>>()
    });
    let found = ways.find(|found| !found.is_empty()).unwrap_or_default();
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

/// Returns whether the id was drawn at random, so that its beginning tells it from others: it has the
/// letters and at least the length of a UUID.
fn is_drawn(id: &str) -> bool {
    let is_digit = |letter: u8| letter.is_ascii_hexdigit() || letter == b'-';
    id.get(..UUID_DIGITS)
        .is_some_and(|start| start.bytes().all(is_digit))
}

/// Lists every container that runs on the machine whose root directory is `root`, ordered by engine
/// and id.
///
/// # Errors
/// When the processes of the machine cannot be listed. A process that ends during the listing is
/// left out.
pub fn all(root: &Path) -> io::Result<Vec<RunningContainer>> {
    let proc = root.join("proc");
    let places = Places::of(root);
    let host = HostNamespaces::of(&proc);
    let mut found: BTreeMap<Label, (bool, Pid, String)> = BTreeMap::new();
    for entry in fs::read_dir(&proc)? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
            continue;
        };
        let process = proc.join(pid.to_string());
        let Some((label, cgroup)) = label(&places, &host, &process) else {
            continue;
        };
        // The init of a pid namespace ranks before any other process, then an older process before a
        // younger one.
        let rank = (!is_init(&process), pid, cgroup);
        match found.get_mut(&label) {
            Some(best) if *best <= rank => {}
            Some(best) => *best = rank,
            None => drop(found.insert(label, rank)),
        }
    }
    let names = Names::of(places);
    let containers = found
        .into_iter()
        .map(|(label, (_, pid, cgroup))| RunningContainer {
            name: names.name(&label, &cgroup),
            engine: label.engine,
            id: label.id,
            pid,
        });
    Ok(containers.collect())
}

/// Returns the container of `containers` in which the process `pid` is: it has the cgroup of the
/// container, and the pid namespace of its first process. Containers in the container are others.
#[must_use]
pub fn of_process<'a>(
    containers: &'a [RunningContainer],
    root: &Path,
    pid: Pid,
) -> Option<&'a RunningContainer> {
    if let Some(first) = containers.iter().find(|one| one.pid == pid) {
        return Some(first);
    }
    let proc = root.join("proc");
    let pids = |pid: Pid| fs::read_link(proc.join(format!("{pid}/ns/pid"))).ok();
    let host = HostNamespaces::of(&proc);
    let (label, _) = label(&Places::of(root), &host, &proc.join(pid.to_string()))?;
    containers.iter().find(|one| {
        let is_labelled = one.engine == label.engine && one.id == label.id;
        is_labelled && pids(one.pid).is_some() && pids(one.pid) == pids(pid)
    })
}

/// Returns the container of a process with its cgroup; `None` for a process of the host, or beside a
/// container.
fn label(places: &Places, host: &HostNamespaces, process: &Path) -> Option<(Label, String)> {
    if host.has(process) {
        return None;
    }
    let cgroups = cgroups(process);
    let mut is_beside = false;
    for cgroup in &cgroups {
        match shape_of(cgroup) {
            CgroupShape::Container(label) => {
                return Some((names::of_keeper(places, label, cgroup), cgroup.clone()));
            }
            CgroupShape::Beside => is_beside = true,
            CgroupShape::Unknown => {}
        }
    }
    if is_beside {
        return None;
    }
    let task = cgroups.iter().find_map(|cgroup| {
        let label = names::containerd_task(places, cgroup)?;
        Some((label, cgroup.clone()))
    });
    task.or_else(|| {
        let label = host.stranger(process)?;
        let cgroup = label.id.clone();
        Some((label, cgroup))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

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
                (Engine::Incus, "app", Pid(95))
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
        let cgroup = "/lxc.payload.web (deleted)";
        process(machine.path(), Pid(90), cgroup, "1");
        let stat = |state: char, flags: u32| {
            let behind = "0 ".repeat(20);
            let stat = format!("90 (x) {state} 1 1 1 0 0 {flags} {behind}\n");
            file(machine.path(), "proc/90/stat", &stat);
        };
        stat('Z', 4);
        assert_eq!(all(machine.path()).unwrap(), []);
        // A living process is in a living cgroup, whatever its name.
        stat('S', 0);
        assert_eq!(all(machine.path()).unwrap()[0].id, "web (deleted)");
    }

    /// A process with its parent, its namespaces (0 for the host's) and its cgroup.
    fn nested(root: &Path, (pid, parent): (u32, u32), (pids, mounts): (u32, u32), cgroup: &str) {
        let inside = if pids == 0 { "" } else { "1" };
        process(root, Pid(pid), cgroup, inside);
        let status = format!("Name:\tx\nPPid:\t{parent}\nNSpid:\t{pid}\t{inside}\n");
        file(root, &format!("proc/{pid}/status"), &status);
        let links = root.join(format!("proc/{pid}/ns"));
        fs::create_dir_all(&links).unwrap();
        symlink(format!("pid:[{pids}]"), links.join("pid")).unwrap();
        symlink(format!("mnt:[{mounts}]"), links.join("mnt")).unwrap();
    }

    /// The ids and processes of the containers that are found.
    fn found(root: &Path) -> Vec<(String, Pid)> {
        let all = all(root).unwrap();
        all.into_iter().map(|one| (one.id, one.pid)).collect()
    }

    #[test]
    fn a_container_of_an_unknown_engine_is_found_by_its_namespaces_and_named_by_its_cgroup() {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        nested(root, (1, 0), (0, 0), "/");
        // Its init is a child of the engine, or of a process in the container's mount namespace.
        nested(root, (20, 1), (0, 0), "/system.slice/engine.service");
        nested(root, (21, 20), (5, 6), "/jobs/seven.scope");
        nested(root, (22, 20), (0, 8), "/jobs/eight");
        nested(root, (23, 22), (7, 8), "/jobs/eight");
        let all = all(root).unwrap();
        for (query, pid) in [
            ("/jobs/seven.scope", 21),
            ("jobs/seven.scope", 21),
            ("seven.scope", 21),
            ("seven", 21),
            ("eight", 23),
        ] {
            assert_eq!(
                find(&all, query).map(|one| one.pid),
                Ok(Pid(pid)),
                "{query}"
            );
        }
        assert_eq!(all.len(), 2, "{all:?}");
    }

    #[test]
    fn a_sandbox_of_a_session_or_a_service_is_no_container() {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        nested(root, (1, 0), (0, 0), "/init.scope");
        let app = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-x-7.scope";
        // bubblewrap, and its child in all namespaces; a browser's zygote without mounts of its own;
        // a process of the root cgroup; a service that has a mount namespace only.
        nested(root, (30, 1), (0, 0), app);
        nested(root, (31, 30), (4, 5), app);
        nested(root, (32, 1), (6, 0), "/user.slice/browser");
        nested(root, (33, 1), (7, 8), "/");
        nested(root, (34, 1), (0, 9), "/system.slice/web.service");
        assert_eq!(found(root), []);
    }

    #[test]
    fn a_process_of_the_host_in_a_containers_cgroup_is_no_container() {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        nested(root, (1, 0), (0, 0), "/");
        nested(root, (40, 1), (0, 0), "/nomad/raw");
        nested(
            root,
            (41, 1),
            (0, 0),
            &format!("/machine.slice/libpod-conmon-{ID}.scope"),
        );
        nested(
            root,
            (42, 1),
            (8, 9),
            r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator",
        );
        nested(root, (43, 1), (0, 2), "/nomad/task");
        assert_eq!(found(root), [("task".to_owned(), Pid(43))]);
    }

    #[test]
    fn an_id_that_is_drawn_at_random_is_found_by_its_beginning() {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        process(
            root,
            Pid(50),
            "/mesos/0a1b2c3d-0000-4000-8000-0123456789ab",
            "1",
        );
        process(
            root,
            Pid(51),
            "/lxc/a-name-of-more-letters-than-a-uuid-has",
            "1",
        );
        let all = all(root).unwrap();
        assert_eq!(find(&all, "0a1b").map(|one| one.pid), Ok(Pid(50)));
        assert!(find(&all, "a-name").is_err());
    }

    #[test]
    fn an_id_comes_before_the_name_of_another_container() {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        for (pid, id) in [(60, "app"), (61, "team_app")] {
            process(root, Pid(pid), &format!("/lxc.payload.{id}"), "1");
            file(
                root,
                &format!("var/lib/incus/containers/{id}/backup.yaml"),
                "",
            );
        }
        let all = all(root).unwrap();
        assert_eq!(find(&all, "app").map(|one| one.pid), Ok(Pid(60)));
        assert_eq!(find(&all, "team_app").map(|one| one.pid), Ok(Pid(61)));
    }
}
