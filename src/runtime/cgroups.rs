//! The cgroups of a container: made, limited and removed here; libcontainer only joins them.
//!
//! libcgroups 0.7 is not asked to set limits: on v1 it demands the devices controller whatever is
//! limited and denies no device, on v2 it creates controllers without saying which it could not
//! enable, and a refused value comes back as a path and a number. So the directories stand, with
//! their limits, before libcontainer's first process enters them.
//!
//! The cgroups lie below `plimsoll` at the top of each hierarchy. systemd leaves alone what it
//! did not make; controllers stay on there even if it no longer needs them itself, because the
//! kernel refuses to take a controller from a cgroup whose child has handed it on.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    sys::statfs::{CGROUP2_SUPER_MAGIC, statfs},
    unistd::Pid,
};

use super::{
    RunError,
    error::at,
    mounts,
    request::{Limits, PERIOD, Swap},
};
use crate::units::{Bytes, Limit};

/// The cgroup above all of ours.
const ABOVE: &str = "plimsoll";

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

/// How long the dying processes of a container may take to leave its cgroups.
const PATIENCE: Duration = Duration::from_secs(5);

/// The hierarchies of this host.
#[derive(Debug)]
pub(crate) enum Hierarchies {
    /// One of cgroup v2.
    Unified,
    /// Several of cgroup v1, by controller; also where a v2 hierarchy stands beside them.
    Legacy(BTreeMap<String, PathBuf>),
}

/// The cgroups of one container, removed with every process in them when dropped.
#[derive(Debug)]
pub(crate) struct Cgroups {
    name: String,
    hierarchies: Hierarchies,
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
        let path = "/proc/self/mountinfo";
        let text = fs::read_to_string(path).map_err(at("read", path))?;
        let mut found = BTreeMap::new();
        for mount in mounts::visible(&mounts::parse(&text)) {
            if mount.kind == "cgroup" && mount.point.starts_with(UNIFIED) {
                let named = mount.options.split(',').filter(|o| CONTROLLERS.contains(o));
                found.extend(named.map(|name| (name.to_owned(), mount.point.clone())));
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
    /// At the first that is not, with the mend.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), RunError> {
        let needed = [
            ("--memory", "memory", limits.memory.value().is_some()),
            ("--cpus", "cpu", limits.cpu.value().is_some()),
            ("--cpuset-cpus", "cpuset", limits.cpuset.is_some()),
            ("--pids-limit", "pids", limits.pids.value().is_some()),
        ];
        for (option, controller, _) in needed.into_iter().filter(|(_, _, needed)| *needed) {
            let mend = match self {
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
                mend,
            });
        }
        Ok(())
    }

    /// Makes the cgroups of a container and limits them, all but the number of processes: while a
    /// container is made there are more than it will hold.
    ///
    /// # Errors
    ///
    /// When a directory cannot be made, a controller cannot be enabled, or a limit is refused.
    pub(crate) fn create(self, name: &str, limits: &Limits) -> Result<Cgroups, RunError> {
        let cgroups = Cgroups {
            name: name.to_owned(),
            hierarchies: self,
        };
        for (_, top) in cgroups.tops() {
            let leaf = top.join(ABOVE).join(name);
            fs::create_dir_all(&leaf).map_err(at("make", &leaf))?;
        }
        match &cgroups.hierarchies {
            Hierarchies::Unified => {
                enable(Path::new(UNIFIED), limits)?;
                enable(&Path::new(UNIFIED).join(ABOVE), limits)?;
            }
            Hierarchies::Legacy(found) => seed(found, name)?,
        }
        cgroups.limit(limits)?;
        Ok(cgroups)
    }
}

impl Cgroups {
    /// The path of each cgroup below its hierarchy's top, as OCI's `cgroupsPath`.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/").join(ABOVE).join(&self.name)
    }

    /// The directories, each with where a container expects it.
    pub(crate) fn binds(&self) -> Vec<(PathBuf, PathBuf)> {
        let bind = |(at, top): (PathBuf, PathBuf)| (top.join(ABOVE).join(&self.name), at);
        self.tops().into_iter().map(bind).collect()
    }

    /// Limits the number of processes, once the container is made.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(crate) fn limit_pids(&self, limits: &Limits) -> Result<(), RunError> {
        match limits.pids {
            Limit::Unlimited => Ok(()),
            Limit::At(count) => self.write("pids", "pids.max", &count.to_string()),
        }
    }

    fn limit(&self, limits: &Limits) -> Result<(), RunError> {
        let legacy = matches!(self.hierarchies, Hierarchies::Legacy(_));
        if let Limit::At(memory) = limits.memory {
            if legacy {
                self.legacy_memory(memory, limits.swap)?;
            } else {
                self.unified_memory(memory, limits.swap)?;
            }
        }
        if let Limit::At(quota) = limits.cpu {
            if legacy {
                self.write("cpu", "cpu.cfs_period_us", &PERIOD.0.to_string())?;
                self.write("cpu", "cpu.cfs_quota_us", &quota.0.to_string())?;
            } else {
                self.write("cpu", "cpu.max", &format!("{} {}", quota.0, PERIOD.0))?;
            }
        }
        if let Some(cpus) = &limits.cpuset {
            self.write("cpuset", "cpuset.cpus", &cpus.to_string())?;
        }
        self.limit_devices()
    }

    fn unified_memory(&self, memory: Bytes, swap: Swap) -> Result<(), RunError> {
        self.write("memory", "memory.max", &memory.0.to_string())?;
        let (text, asked) = match swap {
            Swap::LikeMemory => (memory.0.to_string(), false),
            Swap::Unlimited => ("max".to_owned(), false),
            Swap::Total(total) => (total.less(memory).0.to_string(), true),
        };
        self.write_swap("memory.swap.max", &text, asked)
    }

    fn legacy_memory(&self, memory: Bytes, swap: Swap) -> Result<(), RunError> {
        self.write("memory", "memory.limit_in_bytes", &memory.0.to_string())?;
        let (text, asked) = match swap {
            Swap::LikeMemory => (memory.plus(memory).0.to_string(), false),
            Swap::Unlimited => ("-1".to_owned(), false),
            Swap::Total(total) => (total.0.to_string(), true),
        };
        self.write_swap("memory.memsw.limit_in_bytes", &text, asked)
    }

    /// A kernel that does not count swap has no such file; that matters only to who asked.
    fn write_swap(&self, file: &str, text: &str, asked: bool) -> Result<(), RunError> {
        let there = self
            .directory("memory")
            .is_some_and(|d| d.join(file).exists());
        match (there, asked) {
            (true, _) => self.write("memory", file, text),
            (false, true) => Err(RunError::NoSwapLimit),
            (false, false) => Ok(()),
        }
    }

    /// Docker's devices, and no other; on v2 the missing capability to make device nodes and a
    /// root without them stand in.
    fn limit_devices(&self) -> Result<(), RunError> {
        let controller = "devices";
        if self.directory(controller).is_none()
            || !matches!(self.hierarchies, Hierarchies::Legacy(_))
        {
            return Ok(());
        }
        self.write(controller, "devices.deny", "a")?;
        // Nodes may be made, for libcontainer makes those of /dev; opened only null, zero, full,
        // random, urandom, tty, console, ptmx and the terminals.
        for rule in [
            "c *:* m",
            "b *:* m",
            "c 1:3 rwm",
            "c 1:5 rwm",
            "c 1:7 rwm",
            "c 1:8 rwm",
            "c 1:9 rwm",
            "c 5:0 rwm",
            "c 5:1 rwm",
            "c 5:2 rwm",
            "c 136:* rwm",
        ] {
            self.write(controller, "devices.allow", rule)?;
        }
        Ok(())
    }

    fn write(&self, controller: &str, file: &str, text: &str) -> Result<(), RunError> {
        let directory = self.directory(controller).unwrap_or_default();
        let path = directory.join(file);
        fs::write(&path, text).map_err(at("write a limit to", path))
    }

    fn directory(&self, controller: &str) -> Option<PathBuf> {
        let top = match &self.hierarchies {
            Hierarchies::Unified => Path::new(UNIFIED),
            Hierarchies::Legacy(found) => found.get(controller)?,
        };
        Some(top.join(ABOVE).join(&self.name))
    }

    fn tops(&self) -> Vec<(PathBuf, PathBuf)> {
        match &self.hierarchies {
            Hierarchies::Unified => vec![(PathBuf::from(UNIFIED), PathBuf::from(UNIFIED))],
            Hierarchies::Legacy(found) => {
                let mut tops: Vec<_> = found.values().map(|p| (p.clone(), p.clone())).collect();
                tops.sort();
                tops.dedup();
                tops
            }
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Kills what runs in the cgroups of a container, and removes them; what stays is logged.
pub(crate) fn remove(name: &str) {
    let Ok(hierarchies) = Hierarchies::find() else {
        return;
    };
    let cgroups = std::mem::ManuallyDrop::new(Cgroups {
        name: name.to_owned(),
        hierarchies,
    });
    for (_, top) in cgroups.tops() {
        let above = top.join(ABOVE);
        let leaf = above.join(name);
        if let Err(error) = emptied(&leaf) {
            tracing::warn!(path = %leaf.display(), %error, "cannot remove the cgroup");
        }
        // Only when it was the last.
        let _ = fs::remove_dir(above);
    }
}

/// Kills every process below `leaf` and removes it with its children, as soon as they are gone.
fn emptied(leaf: &Path) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match remove_tree(leaf) {
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
        if fs::write(leaf.join("cgroup.kill"), "1").is_err() {
            kill_all(leaf);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => {
            for entry in entries?.flatten() {
                if entry.file_type()?.is_dir() {
                    remove_tree(&entry.path())?;
                }
            }
        }
    }
    fs::remove_dir(path)
}

fn kill_all(path: &Path) {
    let procs = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    for pid in procs.lines().filter_map(|line| line.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            kill_all(&entry.path());
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
            mend: format!(
                "writing +{controller} to {} gave \"{error}\"; processes in that cgroup itself must first move into one below it",
                control.display()
            ),
        });
    }
    Ok(())
}

/// A fresh v1 cpuset has no CPUs and no memory nodes and takes no process: it gets those above it.
/// A fresh v1 memory cgroup counts its children only if told so (always, since kernel 5.11).
fn seed(found: &BTreeMap<String, PathBuf>, name: &str) -> Result<(), RunError> {
    if let Some(top) = found.get("cpuset") {
        let above = top.join(ABOVE);
        for (from, to) in [
            (top.clone(), above.clone()),
            (above.clone(), above.join(name)),
        ] {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let (from, to) = (from.join(file), to.join(file));
                let own = fs::read_to_string(&to).map_err(at("read", &to))?;
                if own.trim().is_empty() {
                    let value = fs::read_to_string(&from).map_err(at("read", &from))?;
                    fs::write(&to, value.trim()).map_err(at("write", &to))?;
                }
            }
        }
    }
    if let Some(top) = found.get("memory") {
        let _ = fs::write(top.join(ABOVE).join("memory.use_hierarchy"), "1");
    }
    Ok(())
}
