//! The cgroups: their version, and the controllers that the views need.

use super::{
    Finding, Level,
    files::{exists, text},
};
use crate::base::mountinfo::Mount;
use std::{collections::BTreeSet, path::Path};

/// The controllers that the views need, each with the level of a finding that it is missing, and
/// with what a container sees without it.
const CONTROLLERS: [(&str, Level, &str); 3] = [
    ("memory", Level::Error, "the machine's memory"),
    ("cpu", Level::Error, "as many CPUs as the machine has"),
    (
        "cpuset",
        Level::Warning,
        "CPUs by its quota alone, not by its cpuset",
    ),
];

/// The state of the cgroup hierarchies.
#[derive(Debug, Default)]
pub(super) struct CgroupState {
    /// The mount options of the cgroup v1 hierarchies, which name their controllers.
    v1: BTreeSet<String>,
    /// The controllers that the root of cgroup v2 has, and those that it enables below; `None`
    /// where cgroup v2 is not mounted.
    v2: Option<(BTreeSet<String>, BTreeSet<String>)>,
    /// The kernel counts pressure.
    has_pressure: bool,
}

pub(super) fn read(root: &Path, mounts: &[Mount]) -> CgroupState {
    let v1 = mounts.iter().filter(|mount| mount.kind == "cgroup");
    let v2 = mounts.iter().find(|mount| mount.kind == "cgroup2");
    let words = |mount: &Mount, name: &str| {
        let point = mount.point.strip_prefix("/").unwrap_or(&mount.point);
        let text = text(root, &point.join(name).to_string_lossy());
        let text = text.unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    CgroupState {
        v1: v1.flat_map(|mount| mount.options.clone()).collect(),
        v2: v2.map(|mount| {
            let controllers = words(mount, "cgroup.controllers");
            (controllers, words(mount, "cgroup.subtree_control"))
        }),
        has_pressure: exists(root, "proc/pressure/cpu"),
    }
}

pub(super) fn find(cgroups: &CgroupState) -> Vec<Finding> {
    let is_v1 = CONTROLLERS
        .iter()
        .any(|(name, ..)| cgroups.v1.contains(*name));
    let mode = match (is_v1, &cgroups.v2) {
        (false, None) => {
            let found = Finding::new(Level::Error, "cgroup", "no cgroup file system is mounted");
            return vec![found.fix("mount -t cgroup2 none /sys/fs/cgroup")];
        }
        (false, Some(_)) => "version 2",
        (true, None) => "version 1",
        (true, Some((controllers, _))) if controllers.is_empty() => "version 1, beside an empty 2",
        (true, Some(_)) => "versions 1 and 2, hybrid",
    };
    let mut found = vec![Finding::new(Level::Ok, "cgroup", mode)];
    for (name, level, seen) in CONTROLLERS {
        if cgroups.v1.contains(name) {
            continue;
        }
        let (has, enables) = match &cgroups.v2 {
            Some((has, enables)) => (has.contains(name), enables.contains(name)),
            None => (false, false),
        };
        let text = format!("a container sees {seen}: there is no controller {name}");
        if !has {
            let fix = format!("boot with cgroup_enable={name}, on a kernel that has it");
            found.push(Finding::new(level, "cgroup", text).fix(fix));
        } else if !enables {
            let text = format!("{text} below the root");
            let fix = format!("echo +{name} > /sys/fs/cgroup/cgroup.subtree_control");
            found.push(Finding::new(Level::Warning, "cgroup", text).fix(fix));
        }
    }
    if is_v1 {
        let text = "on version 1 a container has no pressure of its own, and no count of the kernel's memory";
        found.push(Finding::new(Level::Note, "cgroup", text));
    } else if !cgroups.has_pressure {
        let text = "the kernel counts no pressure, so there is no /proc/pressure";
        found.push(Finding::new(Level::Note, "cgroup", text).fix("boot with psi=1"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> BTreeSet<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn found(cgroups: &CgroupState) -> Vec<(Level, String)> {
        let found = find(cgroups).into_iter();
        found.map(|found| (found.level, found.finding)).collect()
    }

    #[test]
    fn a_controller_that_is_not_there_or_not_given_is_found() {
        let cgroups = CgroupState {
            v2: Some((names("cpu cpuset io"), names("cpu io"))),
            has_pressure: true,
            ..CgroupState::default()
        };
        let found = found(&cgroups);
        assert_eq!(found[0], (Level::Ok, "version 2".to_owned()));
        assert_eq!(found[1].0, Level::Error);
        assert!(found[1].1.contains("no controller memory"), "{found:?}");
        assert_eq!(found[2].0, Level::Warning);
        assert!(found[2].1.contains("cpuset below the root"), "{found:?}");
    }

    #[test]
    fn version_1_is_no_fault() {
        let cgroups = CgroupState {
            v1: names("rw memory cpu cpuacct cpuset"),
            v2: Some((BTreeSet::new(), BTreeSet::new())),
            has_pressure: true,
        };
        let levels: Vec<Level> = find(&cgroups).iter().map(|found| found.level).collect();
        assert_eq!(levels, [Level::Ok, Level::Note]);
    }

    #[test]
    fn without_cgroups_there_is_nothing_to_serve() {
        assert_eq!(found(&CgroupState::default())[0].0, Level::Error);
    }
}
