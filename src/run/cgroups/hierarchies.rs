//! The cgroup hierarchies of this host, and what it takes to limit a container in them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use crate::{
    base::mountinfo,
    run::{
        error::{RunError, at},
        options::request::Limits,
    },
};

/// The cgroup above all of ours.
pub(crate) const ABOVE: &str = "plimsoll";

/// Where cgroup v2 is mounted on a host that has nothing else.
const UNIFIED: &str = "/sys/fs/cgroup";

/// The controllers a view reads, beside those that limit.
const WANTED: &[&str] = &["memory", "cpu", "cpuset", "pids", "io"];

/// The controllers of cgroup v1; other options of a mount are none.
const CONTROLLERS: &[&str] = &[
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
    /// One of cgroup v2.
    Unified,
    /// Several of cgroup v1, by controller; also where a v2 hierarchy stands beside them.
    Legacy(BTreeMap<String, PathBuf>),
}

impl Hierarchies {
    /// What this host has.
    ///
    /// # Errors
    ///
    /// When no cgroup file system is mounted.
    pub(crate) fn find() -> Result<Hierarchies, RunError> {
        if statfs(UNIFIED).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC) {
            return Ok(Hierarchies::Unified);
        }
        let mounts = mountinfo::own().map_err(at("read", "/proc/self/mountinfo"))?;
        let mut found = BTreeMap::new();
        for mount in mountinfo::visible(&mounts) {
            if mount.kind == "cgroup" && mount.point.starts_with(UNIFIED) {
                let is_controller = |option: &&String| CONTROLLERS.contains(&option.as_str());
                let named = mount.options.iter().filter(is_controller);
                found.extend(named.map(|name| (name.clone(), mount.point.clone())));
            }
        }
        if found.is_empty() {
            return Err(RunError::NoCgroups);
        }
        Ok(Hierarchies::Legacy(found))
    }

    /// Whether every controller that the limits need is there.
    ///
    /// # Errors
    ///
    /// At the first that is not, with the fix.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), RunError> {
        let needed = [
            ("--memory", "memory", limits.memory.value().is_some()),
            ("--cpus", "cpu", limits.cpu.value().is_some()),
            ("--cpuset-cpus", "cpuset", limits.cpuset.is_some()),
            ("--pids-limit", "pids", limits.pids.value().is_some()),
        ];
        for (option, controller, _) in needed.into_iter().filter(|(_, _, needed)| *needed) {
            let fix = match self {
                Hierarchies::Legacy(found) if found.contains_key(controller) => continue,
                Hierarchies::Legacy(_) => format!(
                    "mkdir -p {UNIFIED}/{controller} && mount -t cgroup -o {controller} cgroup {UNIFIED}/{controller}"
                ),
                Hierarchies::Unified => {
                    if offered(Path::new(UNIFIED)).iter().any(|c| c == controller) {
                        continue;
                    }
                    format!(
                        "{UNIFIED}/cgroup.controllers does not list it; boot with cgroup_enable={controller}, or delegate it to this container"
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

    /// Where each hierarchy is mounted, each once.
    pub(crate) fn tops(&self) -> Vec<PathBuf> {
        match self {
            Hierarchies::Unified => vec![PathBuf::from(UNIFIED)],
            Hierarchies::Legacy(found) => {
                let mut tops: Vec<_> = found.values().cloned().collect();
                tops.sort();
                tops.dedup();
                tops
            }
        }
    }

    /// Where a cgroup below ours is for this controller; `None` where v1 does not have it.
    pub(crate) fn directory(&self, controller: &str, below: &Path) -> Option<PathBuf> {
        let top = match self {
            Hierarchies::Unified => Path::new(UNIFIED),
            Hierarchies::Legacy(found) => found.get(controller)?,
        };
        Some(top.join(ABOVE).join(below))
    }

    /// Readies a container's cgroups, which are made, for its limits.
    ///
    /// # Errors
    ///
    /// When a controller that a limit needs cannot be enabled.
    pub(crate) fn ready(&self, name: &str, limits: &Limits) -> Result<(), RunError> {
        match self {
            Hierarchies::Unified => {
                enable(Path::new(UNIFIED), limits)?;
                enable(&Path::new(UNIFIED).join(ABOVE), limits)
            }
            Hierarchies::Legacy(found) => {
                if let Some(top) = found.get("memory") {
                    // A fresh v1 memory cgroup counts its children only if told so (always, since
                    // kernel 5.11).
                    let _ = fs::write(top.join(ABOVE).join("memory.use_hierarchy"), "1");
                }
                seed(found, Path::new(""))?;
                seed(found, Path::new(name))
            }
        }
    }

    /// Readies the leaf in a container's cgroups, which are limited and hold it, for processes.
    ///
    /// # Errors
    ///
    /// When a controller that a limit needs cannot be enabled.
    pub(crate) fn ready_leaf(&self, leaf: &Path, limits: &Limits) -> Result<(), RunError> {
        match self {
            Hierarchies::Unified => {
                let above = leaf.parent().unwrap_or(leaf);
                enable(&Path::new(UNIFIED).join(ABOVE).join(above), limits)
            }
            Hierarchies::Legacy(found) => seed(found, leaf),
        }
    }
}

/// The controllers that a v2 cgroup can hand on.
fn offered(cgroup: &Path) -> Vec<String> {
    let text = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Hands a v2 cgroup's controllers on to its children: what a view reads if possible, what
/// a limit needs in any case.
fn enable(cgroup: &Path, limits: &Limits) -> Result<(), RunError> {
    let control = cgroup.join("cgroup.subtree_control");
    for controller in WANTED {
        if !offered(cgroup).iter().any(|offered| offered == controller) {
            continue;
        }
        let Err(error) = fs::write(&control, format!("+{controller}")) else {
            continue;
        };
        let option = match *controller {
            "memory" if limits.memory.value().is_some() => "--memory",
            "cpu" if limits.cpu.value().is_some() => "--cpus",
            "cpuset" if limits.cpuset.is_some() => "--cpuset-cpus",
            "pids" if limits.pids.value().is_some() => "--pids-limit",
            _ => continue,
        };
        return Err(RunError::NoController {
            option,
            controller,
            fix: format!(
                "writing +{controller} to {} gave \"{error}\"; processes in that cgroup itself must first move into one below it",
                control.display()
            ),
        });
    }
    Ok(())
}

/// A fresh v1 cpuset has no CPUs and no memory nodes and takes no process: it gets those above it.
fn seed(found: &BTreeMap<String, PathBuf>, below: &Path) -> Result<(), RunError> {
    let Some(top) = found.get("cpuset") else {
        return Ok(());
    };
    let cgroup = top.join(ABOVE).join(below);
    let above = cgroup.parent().unwrap_or(top);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (from, to) = (above.join(file), cgroup.join(file));
        let own = fs::read_to_string(&to).map_err(at("read", &to))?;
        if own.trim().is_empty() {
            let value = fs::read_to_string(&from).map_err(at("read", &from))?;
            fs::write(&to, value.trim()).map_err(at("write", &to))?;
        }
    }
    Ok(())
}
