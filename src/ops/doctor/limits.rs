//! What no view on this machine can fix.

use super::{Finding, Level, is_there};
use crate::base::mountinfo::Mount;
use std::path::Path;

#[derive(Debug)]
pub(super) struct Truth {
    /// Whether a container can have clocks of its own.
    has_time_namespaces: bool,
    /// Whether anything of cgroups is version 1's.
    is_v1: bool,
}

pub(super) fn read(root: &Path, mounts: &[Mount]) -> Truth {
    Truth {
        has_time_namespaces: is_there(root, "proc/self/ns/time"),
        is_v1: mounts.iter().any(|mount| {
            mount.kind == "cgroup" && mount.options.iter().any(|option| option == "memory")
        }),
    }
}

pub(super) fn find(truth: &Truth) -> Vec<Finding> {
    let mut notes = vec![
        "nproc, Go, Ruby, OpenMP, MariaDB and others that ask sched_getaffinity count the machine's CPUs, unless a container has a cpuset",
        "free and uptime of busybox, getloadavg, Redis and others that ask sysinfo see the machine's memory and load",
        "iostat and btop read /sys/block, which is the machine's",
    ];
    if !truth.has_time_namespaces {
        notes.push("this kernel has no time namespaces: start times in ps are the machine's");
    }
    if truth.is_v1 {
        notes.push("/proc/pressure is served on cgroup version 2 only");
    }
    let notes = notes.into_iter();
    notes
        .map(|note| Finding::new(Level::Note, "untrue", note))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_true_is_no_fault() {
        let truth = Truth {
            has_time_namespaces: false,
            is_v1: true,
        };
        let found = find(&truth);
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|found| found.level == Level::Note));
    }
}
