//! Containers with mounts of Plimsoll that are dead or lost.

use super::{Finding, Level, finding::command_for};
use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::FS_TYPE,
    },
    facts::engines::{self, RunningContainer},
    inject::{
        notes::{self, AttachedNote},
        repair::{self, DeadMounts},
    },
};
use nix::unistd::geteuid;
use std::{collections::HashSet, io, path::Path};

/// Finds dead and lost files in the containers of the machine. `is_serving` is true if the
/// daemon at `mountpoint` serves.
pub(super) fn find(mountpoint: &Path, is_serving: bool) -> Vec<Finding> {
    if !geteuid().is_root() {
        let text = "only root can look into containers";
        return vec![
            Finding::new(Level::Warning, "containers", text).fix("run plimsoll doctor as root"),
        ];
    }
    let failed = |what: &str, error: io::Error| {
        let text = format!("cannot {what}: {error}");
        vec![Finding::new(Level::Warning, "containers", text)]
    };
    let living = is_serving.then_some(mountpoint);
    let dead = repair::find_dead().map_or_else(
        |error| failed("look into containers", error),
        |dead| judged(&dead, living),
    );
    let lost = lost().map_or_else(
        |error| failed("list the containers that were attached", error),
        |lost| lost.iter().map(judged_lost).collect(),
    );
    [dead, lost].concat()
}

/// Returns the containers that were attached and have lost Plimsoll's mounts, because the engine
/// started them again.
fn lost() -> io::Result<Vec<RunningContainer>> {
    let notes = notes::attached();
    if notes.is_empty() {
        return Ok(Vec::new());
    }
    let notes: HashSet<AttachedNote> = notes.into_iter().collect();
    let mut lost = engines::all(Path::new("/"))?;
    lost.retain(|one| {
        let note = AttachedNote {
            engine: one.engine.to_string(),
            id: one.id.clone(),
        };
        let has_ours = |mounts: Vec<Mount>| mounts.iter().any(|mount| mount.kind == FS_TYPE);
        // Mounts that cannot be read are those of a container that has ended; it has lost nothing.
        notes.contains(&note) && !mountinfo::of(one.pid).map_or(true, has_ours)
    });
    Ok(lost)
}

fn judged_lost(container: &RunningContainer) -> Finding {
    let (engine, shown) = (container.engine, container.shown());
    let text = format!(
        "container {shown} of {engine} has lost its files: the container was started again without the hook"
    );
    let attach = command_for("attach", shown);
    let fix = match engine.has_hooks() {
        true => format!("{attach}; plimsoll install {engine} for the next time"),
        false => attach,
    };
    Finding::new(Level::Warning, "containers", text).fix(fix)
}

/// Judges the dead files. `living` is the view that a daemon serves: that daemon has replaced all
/// that it can when it started.
fn judged(dead: &[DeadMounts], living: Option<&Path>) -> Vec<Finding> {
    if dead.is_empty() {
        let text = "no container has a dead file";
        return vec![Finding::new(Level::Ok, "containers", text)];
    }
    let found = dead.iter().map(|DeadMounts { pid, mounts, view }| {
        let text = format!(
            "the container of process {pid} has {mounts} dead files of {}: reads of them fail",
            view.display()
        );
        let fix = match living == Some(view.as_path()) {
            true => format!(
                "restart the container, or unmount each dead file: nsenter -t {pid} -m umount -l FILE"
            ),
            false => format!(
                "plimsoll daemon {}, which replaces dead files when it starts",
                view.display()
            ),
        };
        Finding::new(Level::Error, "containers", text).fix(fix)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::units::Pid, facts::engines::Engine};

    fn fix_of_lost(engine: Engine) -> String {
        let container = RunningContainer {
            engine,
            id: "web".to_owned(),
            name: None,
            pid: Pid(7),
        };
        judged_lost(&container).fix.unwrap()
    }

    #[test]
    fn a_container_that_lost_its_files_gets_the_hook_of_its_own_engine() {
        for (engine, command) in [
            (Engine::Lxc, "plimsoll install lxc"),
            (Engine::Incus, "plimsoll install incus"),
        ] {
            let fix = fix_of_lost(engine);
            assert!(
                fix.contains(&format!("{command} for the next time")),
                "{fix}"
            );
        }
        assert_eq!(fix_of_lost(Engine::Nspawn), "plimsoll attach web");
    }

    #[test]
    fn dead_files_are_an_error_with_the_process_that_has_them() {
        let dead = DeadMounts {
            pid: Pid(4711),
            mounts: 9,
            view: "/var/lib/plimsoll".into(),
        };
        let found = judged(&[dead], None);
        assert_eq!(found[0].level, Level::Error);
        assert!(
            found[0].finding.contains("4711 has 9 dead files"),
            "{found:?}"
        );
        assert_eq!(judged(&[], None)[0].level, Level::Ok);
    }
}
