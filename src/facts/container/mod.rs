//! Who asks, and what is remembered of them between two reads.

mod birth;
mod caller;
mod fact;
mod per_container;
mod recent;
mod tasks;

pub use birth::birth;
pub use caller::{Caller, CallerError, Callers, key_of_first};
pub use fact::{Birth, Tasks};
pub use per_container::PerContainer;
pub use tasks::{Youngest, count};

use crate::{
    base::units::{Key, Pid, Tid},
    facts::{
        cgroup::Paths,
        host::{Machine, parse},
    },
};
use nix::{fcntl::AtFlags, sys::stat::fstatat};
use std::io;

/// A container: the cgroup that is its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The inode number of its directory, in the hierarchy of the memory controller: its name
    /// below `containers/`, never used twice while the machine is up.
    pub key: Key,
    /// Where it stands in each hierarchy.
    pub paths: Paths,
    /// The init of its pid namespace as the host counts pids, where it has one of its own.
    pub init: Option<Pid>,
}

// The pids of a process from the outermost pid namespace to its own; none when it is gone.
fn pids(machine: &Machine, tid: Tid) -> Vec<Pid> {
    machine
        .proc_text(format!("{tid}/status"))
        .map(|status| parse::ns_pids(&status))
        .unwrap_or_default()
}

// A namespace is the inode that its link in /proc/PID/ns leads to.
fn namespace(machine: &Machine, pid: &str, name: &str) -> io::Result<u64> {
    let link = format!("{pid}/ns/{name}");
    let stat = fstatat(machine.proc(), link.as_str(), AtFlags::empty())?;
    Ok(stat.st_ino)
}
