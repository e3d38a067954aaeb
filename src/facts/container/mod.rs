//! The container of a caller, and the state that is remembered of each between two reads.

mod birth;
mod caller;
mod fact;
mod inits;
mod per_container;
mod recent;
mod root;
mod sight;
mod task;
mod tasks;

pub use birth::birth;
pub use caller::{Caller, CallerError, Callers, key_of_first};
pub use fact::{Birth, Tasks};
pub use per_container::PerContainer;
pub use sight::Sight;
pub use tasks::Census;

use crate::{
    base::units::{Key, Pid, Tid},
    facts::{
        cgroup::Paths,
        host::{Machine, parse},
    },
};
use nix::{fcntl::AtFlags, sys::stat::fstatat};
use std::io;

/// A container, by the cgroup that is its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The inode number of the root cgroup's directory, in the hierarchy of the memory controller. The
    /// key is the container's name below `containers/`, and never used twice while the machine is up.
    pub key: Key,
    /// The path of the root cgroup in each hierarchy.
    pub paths: Paths,
    /// The init of the container's pid namespace, in the host's pid namespace; `None` where the
    /// container has no pid namespace of its own: the host's, or that of another container.
    pub init: Option<Pid>,
}

// Returns the pids of a task from the outermost pid namespace to its own; none when the task is gone.
fn pids(machine: &Machine, tid: Tid) -> Vec<Pid> {
    machine
        .proc_text(format!("{tid}/status"))
        .map(|status| parse::ns_pids(&status))
        .unwrap_or_default()
}

// Returns the inode number by which the kernel identifies the namespace of the task whose directory
// below `/proc` is `place`.
fn namespace(machine: &Machine, place: &str, name: &str) -> io::Result<u64> {
    let link = format!("{place}/ns/{name}");
    let stat = fstatat(machine.proc(), link.as_str(), AtFlags::empty())?;
    Ok(stat.st_ino)
}
