//! Containers with mounts of Plimsoll that are dead or lost.

use super::{Finding, Level, finding::command_for};
use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::FS_TYPE,
    },
    facts::engines::RunningContainer,
    inject::{
        leave_out::{LeaveOutReason, LeaveOutRules},
        notes::{self, AttachedNote},
        repair::{self, DeadMounts},
    },
};
use nix::unistd::geteuid;
use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::Path,
};

/// Finds dead and lost files in the containers of the machine, and the containers of `running` that
/// `rules` leave out. `living` is the mount point of the view that a daemon serves, if one does.
pub(super) fn find(
    living: Option<&Path>,
    running: &io::Result<Vec<RunningContainer>>,
    rules: &LeaveOutRules,
) -> Vec<Finding> {
    if !geteuid().is_root() {
        let text = "only root can look into containers";
        return vec![
            Finding::new(Level::Warning, "containers", text).fix("run plimsoll doctor as root"),
        ];
    }
    let failed = |what: &str, error: &io::Error| {
        let text = format!("cannot {what}: {error}");
        vec![Finding::new(Level::Warning, "containers", text)]
    };
    let dead = repair::find_dead_mounts().map_or_else(
        |error| failed("look into containers", &error),
        |dead| judged(&dead, living),
    );
    let others = match running {
        Err(error) => failed("list the containers", error),
        Ok(running) => {
            let reason = |one: &RunningContainer| rules.of_running(one).left_out;
            let (out, served): (Vec<_>, Vec<_>) = running
                .iter()
                .map(|one| (one, reason(one)))
                .partition(|(_, reason)| reason.is_some());
            let lost = lost(served.into_iter().map(|(one, _)| one));
            let reasons: Vec<LeaveOutReason> =
                out.into_iter().filter_map(|(_, reason)| reason).collect();
            let lost = lost.iter().map(|one| judged_lost(one));
            lost.chain(judged_left_out(&reasons)).collect()
        }
    };
    [dead, others].concat()
}

/// Returns the finding of the containers that are left out for these reasons, if there are any.
fn judged_left_out(reasons: &[LeaveOutReason]) -> Option<Finding> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason.rule()).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(rule, count)| format!("{count} by {rule}"))
        .collect();
    let number = match reasons.len() {
        0 => return None,
        1 => "1 container is left out".to_owned(),
        many => format!("{many} containers are left out"),
    };
    let text = format!("{number} of the view: {}", counts.join(", "));
    Some(Finding::new(Level::Note, "containers", text))
}

/// Returns the containers that were attached and have lost Plimsoll's mounts, because the engine
/// started them again.
fn lost<'a>(running: impl Iterator<Item = &'a RunningContainer>) -> Vec<&'a RunningContainer> {
    let notes: HashSet<AttachedNote> = notes::attached().into_iter().collect();
    if notes.is_empty() {
        return Vec::new();
    }
    let is_lost = |one: &&RunningContainer| {
        let note = AttachedNote {
            engine: one.engine.to_string(),
            id: one.id.clone(),
        };
        let has_ours = |mounts: Vec<Mount>| mounts.iter().any(|mount| mount.kind == FS_TYPE);
        // Mounts that cannot be read are those of a container that has ended; it has lost nothing.
        notes.contains(&note) && !mountinfo::of(one.pid).map_or(true, has_ours)
    };
    running.filter(is_lost).collect()
}

fn judged_lost(container: &RunningContainer) -> Finding {
    let (engine, shown) = (container.engine, container.shown());
    let text = format!(
        "container {shown} of {engine} has lost its files: the container was started again without the hook, \
         or the daemon was stopped"
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
        let view = Path::new(view);
        let text = format!(
            "the container of process {pid} has {mounts} dead files of {}: reads of them fail",
            view.display()
        );
        let fix = match living == Some(view) {
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
    use crate::{
        base::units::Pid,
        facts::engines::{Engine, Mark},
        inject::leave_out::LeaveOutKey,
    };

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
    fn containers_that_are_left_out_are_counted_by_rule_as_a_note() {
        let configured = |matched: &str| LeaveOutReason::Configured {
            key: LeaveOutKey::Names,
            pattern: "mon-*".to_owned(),
            matched: matched.to_owned(),
        };
        let reasons = [
            configured("mon-1"),
            LeaveOutReason::Declined(Mark::Label),
            configured("mon-2"),
        ];
        let found = judged_left_out(&reasons).unwrap();
        assert_eq!(found.level, Level::Note);
        assert_eq!(
            found.finding,
            "3 containers are left out of the view: 2 by leave-out.names = \"mon-*\", \
             1 by the label plimsoll.io/view=false"
        );
        assert_eq!(judged_left_out(&[]), None);
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
