//! Pure. A container of the list. The serialized form is what programs read: a size is in bytes, a time
//! in seconds, and a number that is not known is null.

use crate::{
    base::units::{Bytes, Pid},
    facts::engines::Engine,
};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// A container of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedContainer {
    /// The engine.
    pub engine: Engine,
    /// The id, unique among the engine's containers.
    pub id: String,
    /// The name that people use, where the engine keeps one and this user may read it.
    pub name: Option<String>,
    /// The name or the beginning of the id, for people.
    #[serde(skip)]
    pub shown: String,
    /// The first process.
    pub pid: Pid,
    /// The path of the container's cgroup in the hierarchy that counts memory.
    pub cgroup: Option<String>,
    /// The start of the container, as a date of RFC 3339.
    pub started: Option<String>,
    /// The whole seconds of `/proc/uptime`.
    pub uptime: Option<u64>,
    /// The memory.
    pub memory: Option<ListedMemory>,
    /// The CPUs.
    pub cpu: Option<ListedCpu>,
    /// The pressure; none on cgroup v1, whose kernel does not count it.
    pub pressure: Option<ListedPressure>,
    /// The view.
    pub view: ListedView,
    /// The error for which the numbers are not known.
    pub problem: Option<String>,
}

/// The sizes in the `/proc/meminfo` of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ListedMemory {
    /// True if the container has less memory than the machine.
    pub limited: bool,
    /// `MemTotal`.
    #[serde(serialize_with = "bytes")]
    pub total: Bytes,
    /// The memory in use that the kernel cannot take back: `MemTotal` less `MemAvailable`, where a limit
    /// decides about it; else that of the container's own cgroup.
    #[serde(serialize_with = "bytes_if_known")]
    pub used: Option<Bytes>,
    /// `MemAvailable`.
    #[serde(serialize_with = "bytes")]
    pub available: Bytes,
    /// `MemFree`.
    #[serde(serialize_with = "bytes")]
    pub free: Bytes,
    /// `SwapTotal`.
    #[serde(serialize_with = "bytes")]
    pub swap_total: Bytes,
    /// `SwapTotal` less `SwapFree`.
    #[serde(serialize_with = "bytes")]
    pub swap_used: Bytes,
}

/// The CPUs of a container, and the time that it used on them between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ListedCpu {
    /// True if the container sees fewer CPUs than the machine has online.
    pub limited: bool,
    /// The number of CPUs in `/proc/cpuinfo`.
    pub cpus: usize,
    /// The strictest quota of the container and the cgroups above, in CPUs.
    pub quota: Option<Milli>,
    /// The CPU time used for each second: `user`, `nice` and `system` of `/proc/stat`.
    pub used: Option<Milli>,
    /// The time for which quotas throttled the container, for each second: `steal` of `/proc/stat`.
    pub throttled: Option<Milli>,
}

/// The percentage of the last ten seconds in which a task of the container waited: `avg10` in the line
/// `some` of the container's pressure files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ListedPressure {
    /// The wait for a CPU.
    pub cpu: Option<Milli>,
    /// The wait for memory.
    pub memory: Option<Milli>,
    /// The wait for block devices.
    pub io: Option<Milli>,
}

/// The view of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedView {
    /// The state of the container's files.
    pub state: ViewState,
    /// The mount point of the view.
    pub mountpoint: Option<PathBuf>,
    /// The reason for any other state than `served`.
    pub reason: Option<String>,
    /// The command that changes the state, where there is one.
    pub fix: Option<String>,
}

/// The state of a container's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ViewState {
    /// The container has its own files.
    Served,
    /// The container has the host's files.
    None,
    /// The daemon of the container's files hangs: readers wait.
    Hangs,
    /// The daemon of the container's files is dead: reads fail.
    Dead,
    /// This user may not see the container's mounts.
    Unknown,
}

/// A number in thousandths, which programs read as a decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milli(pub u32);

impl Milli {
    /// Returns the number; the largest one for a number that does not fit.
    #[must_use]
    pub(super) fn saturating(thousandths: u128) -> Milli {
        Milli(u32::try_from(thousandths).unwrap_or(u32::MAX))
    }
}

impl Serialize for Milli {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

fn bytes_if_known<S: Serializer>(size: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    size.map(|size| size.0).serialize(serializer)
}

fn bytes<S: Serializer>(size: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(size.0)
}

#[cfg(test)]
mod tests {
    use super::{super::example::container, *};

    #[test]
    fn a_program_reads_sizes_in_bytes_times_in_seconds_and_unknown_numbers_as_null() {
        let mut one = container(Engine::Docker, "web");
        one.pressure = None;
        let expected = r#"{"engine":"docker","id":"web-id","name":"web","pid":4711,"cgroup":"/a.slice/web","started":"2026-11-28T20:00:00Z","uptime":7384,"memory":{"limited":true,"total":268435456,"used":104857600,"available":163577856,"free":52428800,"swap_total":67108864,"swap_used":0},"cpu":{"limited":true,"cpus":2,"quota":1.5,"used":0.312,"throttled":0.02},"pressure":null,"view":{"state":"served","mountpoint":"/var/lib/plimsoll","reason":null,"fix":null},"problem":null}"#;
        assert_eq!(serde_json::to_string(&one).unwrap(), expected);
    }
}
