//! The cgroup hierarchies of this host, and the controllers in them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use crate::{
    base::{mountinfo, units::Limit},
    run::{
        error::{RunError, at},
        options::request::{Limits, Pids},
    },
};

/// The parent of every container's cgroup, below the top of each hierarchy.
pub(crate) const PARENT_CGROUP: &str = "plimsoll";

/// The mount point of cgroup v2, or the directory of the mount points of cgroup v1.
const CGROUP_MOUNT: &str = "/sys/fs/cgroup";

/// The v2 controllers to enable: the limits need them, and the served files are computed from them.
const ENABLED_CONTROLLERS: &[&str] = &["memory", "cpu", "cpuset", "pids", "io"];

/// The controllers of cgroup v1, as mount options. Other options of a cgroup mount name no
/// controller.
const LEGACY_CONTROLLERS: &[&str] = &[
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
];

/// The hierarchies of this host.
#[derive(Debug)]
pub(crate) enum Hierarchies {
    /// The single hierarchy of cgroup v2.
    Unified,
    /// The mount points of cgroup v1 by controller; also on a host with a v2 hierarchy beside them.
    Legacy(BTreeMap<String, PathBuf>),
}

impl Hierarchies {
    /// Finds the hierarchies of this host.
    ///
    /// # Errors
    ///
    /// A host without a mounted cgroup file system.
    pub(crate) fn find() -> Result<Hierarchies, RunError> {
        if statfs(CGROUP_MOUNT).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC) {
            return Ok(Hierarchies::Unified);
        }
        let mounts = mountinfo::own().map_err(at("read", "/proc/self/mountinfo"))?;
        let mut found = BTreeMap::new();
        for mount in mountinfo::visible(&mounts) {
            if mount.kind == "cgroup" && mount.point.starts_with(CGROUP_MOUNT) {
                let is_controller =
                    |option: &&String| LEGACY_CONTROLLERS.contains(&option.as_str());
                let named = mount.options.iter().filter(is_controller);
                found.extend(named.map(|name| (name.clone(), mount.point.clone())));
            }
        }
        if found.is_empty() {
            return Err(RunError::NoCgroups);
        }
        Ok(Hierarchies::Legacy(found))
    }

    /// Checks that every controller that the limits need is available.
    ///
    /// # Errors
    ///
    /// The first missing controller, with the way to enable it.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), RunError> {
        for controller in ["memory", "cpu", "cpuset", "pids"] {
            let Some(option) = option_that_needs(controller, limits) else {
                continue;
            };
            let fix = match self {
                Hierarchies::Legacy(found) if found.contains_key(controller) => continue,
                Hierarchies::Legacy(_) => format!(
                    "mkdir -p {CGROUP_MOUNT}/{controller} && mount -t cgroup -o {controller} cgroup {CGROUP_MOUNT}/{controller}"
                ),
                Hierarchies::Unified => {
                    if is_available(Path::new(CGROUP_MOUNT), controller) {
                        continue;
                    }
                    format!(
                        "{CGROUP_MOUNT}/cgroup.controllers does not list {controller}; boot with cgroup_enable={controller}, or delegate {controller} to this container"
                    )
                }
            };
            return Err(RunError::NoController {
                option,
                controller,
                fix,
            });
        }
        Ok(())
    }

    /// Returns the mount points of the hierarchies, without duplicates.
    pub(crate) fn tops(&self) -> Vec<PathBuf> {
        match self {
            Hierarchies::Unified => vec![PathBuf::from(CGROUP_MOUNT)],
            Hierarchies::Legacy(found) => {
                let mut tops: Vec<_> = found.values().cloned().collect();
                tops.sort();
                tops.dedup();
                tops
            }
        }
    }

    /// Returns the directory of a cgroup below [`PARENT_CGROUP`] in the hierarchy of `controller`;
    /// `None` if v1 lacks the controller.
    pub(crate) fn directory(&self, controller: &str, cgroup: &Path) -> Option<PathBuf> {
        let top = match self {
            Hierarchies::Unified => Path::new(CGROUP_MOUNT),
            Hierarchies::Legacy(found) => found.get(controller)?,
        };
        Some(top.join(PARENT_CGROUP).join(cgroup))
    }

    /// Prepares the cgroups of the container `name`, which exist, for the limits.
    ///
    /// # Errors
    ///
    /// A controller that a limit needs and that cannot be enabled.
    pub(crate) fn prepare(&self, name: &str, limits: &Limits) -> Result<(), RunError> {
        match self {
            Hierarchies::Unified => {
                enable(Path::new(CGROUP_MOUNT), limits)?;
                enable(&Path::new(CGROUP_MOUNT).join(PARENT_CGROUP), limits)
            }
            Hierarchies::Legacy(found) => {
                if let Some(top) = found.get("memory") {
                    // Before kernel 5.11 a fresh v1 memory cgroup counts its children only after
                    // this write.
                    let _ = fs::write(top.join(PARENT_CGROUP).join("memory.use_hierarchy"), "1");
                }
                copy_cpuset(found, Path::new(""))?;
                copy_cpuset(found, Path::new(name))
            }
        }
    }

    /// Prepares a leaf, which exists below limited cgroups, for processes.
    ///
    /// # Errors
    ///
    /// A controller that a limit needs and that cannot be enabled.
    pub(crate) fn prepare_leaf(&self, leaf: &Path, limits: &Limits) -> Result<(), RunError> {
        match self {
            Hierarchies::Unified => {
                let parent = leaf.parent().unwrap_or(leaf);
                enable(
                    &Path::new(CGROUP_MOUNT).join(PARENT_CGROUP).join(parent),
                    limits,
                )
            }
            Hierarchies::Legacy(found) => copy_cpuset(found, leaf),
        }
    }
}

/// Returns the option of `plimsoll run` whose limit needs `controller`; `None` without such a
/// limit.
fn option_that_needs(controller: &str, limits: &Limits) -> Option<&'static str> {
    match controller {
        "memory" if limits.memory.value().is_some() => Some("--memory"),
        "cpu" if limits.cpu.value().is_some() => Some("--cpus"),
        "cpuset" if limits.cpuset.is_some() => Some("--cpuset-cpus"),
        "pids" if matches!(limits.pids, Pids::Requested(Limit::At(_))) => Some("--pids-limit"),
        _ => None,
    }
}

/// Returns whether a v2 cgroup can enable a controller for its children.
fn is_available(cgroup: &Path, controller: &str) -> bool {
    let text = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().any(|listed| listed == controller)
}

/// Enables the controllers of a v2 cgroup for its children. Fails only for a controller that a
/// limit needs; the served files do not need the other controllers.
fn enable(cgroup: &Path, limits: &Limits) -> Result<(), RunError> {
    let control = cgroup.join("cgroup.subtree_control");
    for controller in ENABLED_CONTROLLERS {
        if !is_available(cgroup, controller) {
            continue;
        }
        let Err(error) = fs::write(&control, format!("+{controller}")) else {
            continue;
        };
        let Some(option) = option_that_needs(controller, limits) else {
            continue;
        };
        return Err(RunError::NoController {
            option,
            controller,
            fix: format!(
                "writing +{controller} to {} failed with \"{error}\"; processes in that cgroup itself must first move into a child cgroup",
                control.display()
            ),
        });
    }
    Ok(())
}

/// Returns the path of a file of a cgroup, whose name begins with its controller unless the hierarchy
/// is one of v1 that is mounted with `noprefix`.
pub(crate) fn file_of(cgroup: &Path, file: &str) -> PathBuf {
    let path = cgroup.join(file);
    let bare = file.split_once('.').map(|(_, bare)| cgroup.join(bare));
    bare.filter(|bare| !path.exists() && bare.exists())
        .unwrap_or(path)
}

/// Copies CPUs and memory nodes from the parent of a v1 cpuset: a fresh one has none and accepts no
/// process.
fn copy_cpuset(found: &BTreeMap<String, PathBuf>, cgroup: &Path) -> Result<(), RunError> {
    let Some(top) = found.get("cpuset") else {
        return Ok(());
    };
    let cgroup = top.join(PARENT_CGROUP).join(cgroup);
    let parent = cgroup.parent().unwrap_or(top);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (from, to) = (file_of(parent, file), file_of(&cgroup, file));
        let current = fs::read_to_string(&to).map_err(at("read", &to))?;
        if current.trim().is_empty() {
            let value = fs::read_to_string(&from).map_err(at("read", &from))?;
            fs::write(&to, value.trim()).map_err(at("write", &to))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpuset_without_prefix_is_filled_from_its_parent() {
        let top = tempfile::tempdir().unwrap();
        let (parent, name) = (top.path().join(PARENT_CGROUP), Path::new("x"));
        fs::create_dir_all(parent.join(name)).unwrap();
        for (cgroup, text) in [
            (top.path().to_owned(), "0-3\n"),
            (parent.clone(), "\n"),
            (parent.join(name), "\n"),
        ] {
            fs::write(cgroup.join("cpus"), text).unwrap();
            fs::write(cgroup.join("mems"), text).unwrap();
        }
        let found = BTreeMap::from([("cpuset".to_owned(), top.path().to_owned())]);
        copy_cpuset(&found, Path::new("")).unwrap();
        copy_cpuset(&found, name).unwrap();
        assert_eq!(fs::read_to_string(parent.join("x/cpus")).unwrap(), "0-3");
        assert_eq!(file_of(&parent, "cpuset.cpus"), parent.join("cpus"));
        assert_eq!(file_of(&parent, "memory.max"), parent.join("memory.max"));
    }
}
