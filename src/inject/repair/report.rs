//! The results of repairs, as one process sends them to another one.

use crate::base::units::Pid;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// The result for the mounts of one container.
#[derive(Debug, Serialize, Deserialize)]
pub struct RepairedContainer {
    /// A process in the container.
    pub pid: Pid,
    /// The number of mounts that are as they should be now.
    pub mounts: usize,
    /// The error of the first mount that is not.
    pub failed: Option<String>,
}

/// The result for all containers.
#[derive(Debug, Serialize, Deserialize)]
pub struct RepairResult {
    /// The containers with mounts that were to be repaired.
    pub containers: Vec<RepairedContainer>,
    /// The number of mount namespaces that were not reached in time.
    pub unreached: usize,
}

/// The dead mounts of one view in one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadMounts {
    /// A process in the container.
    pub pid: Pid,
    /// The number of dead mounts.
    pub mounts: usize,
    /// The mount point of the view that the mounts are of.
    pub view: OsString,
}

/// The result of a task for all containers. The task determines its kind, so the text does not name it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// The containers whose mounts were removed or replaced.
    Repaired(RepairResult),
    /// The dead mounts that were found.
    Dead(Vec<DeadMounts>),
}
