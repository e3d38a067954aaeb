//! The containers that a caller of `attach` or `detach` means.

use crate::{
    base::units::Pid,
    facts::engines::{self, FindError, RunningContainer},
};
use std::{io, path::Path};

/// A choice among the containers that run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every container of every engine.
    All,
    /// Containers by their names or processes.
    Named {
        /// Names or ids of containers.
        names: Vec<String>,
        /// Processes, of which each stands for its container.
        pids: Vec<Pid>,
    },
}

/// A container that was selected.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The container as its engine names it; `None` if no engine does.
    pub container: Option<RunningContainer>,
    /// A process in the container.
    pub pid: Pid,
    /// Tells a container that the caller has named from one of all.
    pub is_named: bool,
}

/// An error in the look-up of a selection.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The processes of the machine cannot be listed.
    #[error("cannot list the containers")]
    List(#[source] io::Error),
    /// The process does not exist.
    #[error("there is no process {0}")]
    NoProcess(Pid),
    /// A name is no container's, or more than one's.
    #[error(transparent)]
    Find(#[from] FindError),
}

/// Finds the selected containers, all of them before the caller does anything with one.
///
/// # Errors
/// When the containers cannot be listed, a process does not exist, or a name is not that of exactly one.
pub fn select(selection: &Selection) -> Result<Vec<Selected>, SelectError> {
    let all = engines::all(Path::new("/")).map_err(SelectError::List)?;
    let (names, pids) = match selection {
        Selection::All => {
            let all = all.into_iter().map(|container| Selected {
                pid: container.pid,
                container: Some(container),
                is_named: false,
            });
            return Ok(all.collect());
        }
        Selection::Named { names, pids } => (names, pids),
    };
    let proc = Path::new("/proc");
    let mut missing = pids
        .iter()
        .filter(|pid| !proc.join(pid.to_string()).exists());
    if let Some(pid) = missing.next() {
        return Err(SelectError::NoProcess(*pid));
    }
    let mut selected = Vec::new();
    for name in names {
        let container = engines::find(&all, name)?;
        selected.push(Selected {
            pid: container.pid,
            container: Some(container.clone()),
            is_named: true,
        });
    }
    selected.extend(pids.iter().map(|pid| Selected {
        container: engines::of_process(&all, Path::new("/"), *pid).cloned(),
        pid: *pid,
        is_named: true,
    }));
    Ok(selected)
}
