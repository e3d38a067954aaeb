//! Containers whose files tell of a cgroup that they have left.

use super::{Finding, Level};
use crate::{
    base::{
        sys::ReadError,
        units::{Key, Pid},
    },
    facts::{
        cgroup::Layout,
        container::{Caller, Callers},
        host::Machine,
    },
    inject::repair::{self, BoundFiles},
};
use std::path::{Path, PathBuf};

/// A container that is not in the cgroup of which its files tell.
#[derive(Debug)]
struct Moved {
    /// A process in the container.
    pid: Pid,
    /// The cgroup of which the files tell; `None` if that cgroup was removed.
    from: Option<PathBuf>,
    /// The root of the container.
    to: PathBuf,
}

/// Finds the containers that were moved to another cgroup after their files were mounted, as systemd
/// does at a `daemon-reload` with a cgroup that systemd does not know.
pub(super) fn find() -> Vec<Finding> {
    let failed = |error: &dyn std::fmt::Display| {
        let text = format!("cannot compare the cgroups of containers with their files: {error}");
        vec![Finding::new(Level::Warning, "containers", text)]
    };
    let bound = match repair::find_bound() {
        Ok(bound) => bound,
        Err(error) => return failed(&error),
    };
    match moved(&bound) {
        Ok(moved) => moved.iter().map(judged).collect(),
        Err(error) => failed(&error),
    }
}

fn moved(bound: &[BoundFiles]) -> Result<Vec<Moved>, ReadError> {
    let machine = Machine::at(Path::new("/"))?;
    let (cgroups, callers) = (Layout::read(Path::new("/"))?, Callers::new(&machine)?);
    let moved = bound.iter().filter_map(|BoundFiles { pid, key }| {
        // A process that cannot be identified has ended.
        let caller = callers.identify_process(*pid, &cgroups, &machine).ok()?;
        let Caller::Container(container) = caller else {
            return None;
        };
        let from = path_of(&cgroups, *key).ok()?;
        let to = container.paths.path();
        let is_within = from.as_ref().is_some_and(|from| to.starts_with(from));
        (!is_within).then(|| Moved {
            pid: *pid,
            from,
            to: to.to_owned(),
        })
    });
    Ok(moved.collect())
}

/// Returns the path of a cgroup; `None` if the cgroup was removed.
fn path_of(cgroups: &Layout, key: Key) -> Result<Option<PathBuf>, ReadError> {
    match cgroups.path_of(key) {
        Ok(path) => Ok(Some(path)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

fn judged(Moved { pid, from, to }: &Moved) -> Finding {
    let to = to.display();
    let from = match from {
        Some(from) => from.display().to_string(),
        None => "a cgroup that was removed".to_owned(),
    };
    let text = format!(
        "the files in the container of process {pid} tell of {from}, and the container was moved to {to}"
    );
    let fix = format!("plimsoll attach --pid {pid}");
    Finding::new(Level::Error, "containers", text).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_was_moved_is_an_error_with_the_command_that_mounts_its_files_anew() {
        let mut moved = Moved {
            pid: Pid(4711),
            from: Some("/pod/old".into()),
            to: "/pod/new".into(),
        };
        let found = judged(&moved);
        assert_eq!(found.level, Level::Error);
        assert_eq!(found.fix.as_deref(), Some("plimsoll attach --pid 4711"));
        assert!(
            found.finding.contains("of /pod/old") && found.finding.ends_with("to /pod/new"),
            "{found:?}"
        );
        moved.from = None;
        assert!(judged(&moved).finding.contains("cgroup that was removed"));
    }
}
