//! The numbers that no view on this machine can set right.

use super::{Finding, Level, files::exists};
use crate::base::mountinfo::Mount;
use std::path::Path;

/// The properties of the machine that limit the views.
#[derive(Debug)]
pub(super) struct KnownLimits {
    /// A container can have clocks of its own.
    has_time_namespaces: bool,
    /// The memory controller is on cgroup version 1.
    is_v1: bool,
}

pub(super) fn read(root: &Path, mounts: &[Mount]) -> KnownLimits {
    KnownLimits {
        has_time_namespaces: exists(root, "proc/self/ns/time"),
        is_v1: mounts.iter().any(|mount| {
            mount.kind == "cgroup" && mount.options.iter().any(|option| option == "memory")
        }),
    }
}

pub(super) fn find(limits: &KnownLimits) -> Vec<Finding> {
    let mut notes = vec![
        "nproc, Go, Ruby, OpenMP, MariaDB and others that ask sched_getaffinity count the machine's CPUs, unless a container has a cpuset",
        "free and uptime of busybox, getloadavg, Redis and others that ask sysinfo see the machine's memory and load",
        "iostat and btop read /sys/block, which is the machine's",
    ];
    if !limits.has_time_namespaces {
        notes.push("this kernel has no time namespaces: start times in ps are the machine's");
    }
    if limits.is_v1 {
        notes.push("/proc/pressure is served on cgroup version 2 only");
    }
    let notes = notes.into_iter();
    notes
        .map(|note| Finding::new(Level::Note, "limitation", note))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_true_is_no_fault() {
        let limits = KnownLimits {
            has_time_namespaces: false,
            is_v1: true,
        };
        let found = find(&limits);
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|found| found.level == Level::Note));
    }
}
