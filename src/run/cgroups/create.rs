//! The cgroups of one container, made and limited before process 1 enters them.
//!
//! A container is in a leaf of its cgroups, `box`. Root in a container can make a user namespace,
//! mount the cgroup file system there, and change the cgroup at the root of the cgroup namespace
//! and every cgroup below: that root is the leaf. The binding limits are set on the parent of the
//! leaf. The leaf repeats these limits for programs that look for limits themselves.
//!
//! The cgroups lie below `plimsoll` at the top of each hierarchy. systemd does not touch cgroups
//! that it did not make. Controllers stay enabled there even if systemd no longer needs them,
//! because the kernel refuses to take a controller from a cgroup whose child has enabled the
//! controller for its own children.

use std::{
    fs, io,
    mem::ManuallyDrop,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{
    base::units::{Bytes, Limit},
    run::{
        cgroups::{
            hierarchies::{Hierarchies, PARENT_CGROUP, file_of},
            remove::{REMOVAL_TIMEOUT, remove},
        },
        error::{RunError, at},
        options::request::{CPU_PERIOD, Limits, Pids, Swap},
    },
};

/// The leaf that holds a container's processes.
const LEAF: &str = "box";

/// The rules of `devices.allow`: Docker's devices.
///
/// Every node may be made, because process 1 makes the nodes of /dev. Only null, zero, full, random,
/// urandom, tty, console, ptmx, the terminals and /dev/net/tun may be opened.
const ALLOWED_DEVICES: [&str; 12] = [
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
    "c 10:200 rwm",
];

/// The cgroups of one container. A drop kills every process in them and removes them.
#[derive(Debug)]
pub(crate) struct ContainerCgroups {
    name: String,
    hierarchies: Hierarchies,
}

impl ContainerCgroups {
    /// Makes the cgroups of the container `name` and sets every limit but the limit of processes:
    /// while a container is made it has more processes than afterwards.
    ///
    /// # Errors
    ///
    /// A directory that cannot be made, a controller that cannot be enabled, and a limit that the
    /// kernel refuses.
    pub(crate) fn create(
        hierarchies: Hierarchies,
        name: &str,
        limits: &Limits,
    ) -> Result<ContainerCgroups, RunError> {
        let cgroups = ContainerCgroups {
            name: name.to_owned(),
            hierarchies,
        };
        let (parent, leaf) = (PathBuf::from(name), cgroups.leaf());
        cgroups.make(&parent)?;
        cgroups.hierarchies.prepare(name, limits)?;
        cgroups.limit(&parent, limits)?;
        // A leaf inherits its devices at the moment at which it is made.
        cgroups.limit_devices()?;
        cgroups.make(&leaf)?;
        cgroups.hierarchies.prepare_leaf(&leaf, limits)?;
        cgroups.limit(&leaf, limits)?;
        Ok(cgroups)
    }

    /// Returns the directories of the leaf, each with the path at which a container expects it.
    pub(crate) fn binds(&self) -> Vec<(PathBuf, PathBuf)> {
        let bind = |top: PathBuf| (top.join(PARENT_CGROUP).join(self.leaf()), top);
        self.hierarchies.tops().into_iter().map(bind).collect()
    }

    /// Returns whether the host has the hierarchies of cgroup v1.
    pub(crate) fn are_legacy(&self) -> bool {
        matches!(self.hierarchies, Hierarchies::Legacy(_))
    }

    /// Sets the limit of processes; for a container that is already made.
    ///
    /// # Errors
    ///
    /// A limit that the kernel refuses.
    pub(crate) fn limit_pids(&self, limits: &Limits) -> Result<(), RunError> {
        let is_wanted = |cgroup| {
            let is_there = self.hierarchies.directory("pids", cgroup);
            limits.pids != Pids::Default
                || is_there.is_some_and(|path| path.join("pids.max").exists())
        };
        match limits.pids.limit() {
            // A machine that cannot limit processes is no reason to refuse a container that asks for
            // no limit.
            Limit::At(_) if !is_wanted(&self.leaf()) => Ok(()),
            Limit::Unlimited => Ok(()),
            Limit::At(count) => [Path::new(&self.name), &self.leaf()]
                .into_iter()
                .try_for_each(|cgroup| self.write(cgroup, "pids.max", &count.to_string())),
        }
    }

    /// Changes the limit of memory, and that of swap with it, of the running container `name`. Returns the
    /// file of the limit that binds.
    ///
    /// # Errors
    ///
    /// No container of that name, and a limit that the kernel refuses: on cgroup v1 one above the
    /// present limit of memory and swap together.
    pub(crate) fn change_memory(name: &str, memory: Bytes) -> Result<PathBuf, RunError> {
        // The cgroups belong to the process that made them.
        let cgroups = ManuallyDrop::new(ContainerCgroups {
            name: name.to_owned(),
            hierarchies: Hierarchies::find()?,
        });
        let parent = Path::new(name);
        cgroups.limit_memory(parent, memory, Swap::LikeMemory)?;
        cgroups.limit_memory(&cgroups.leaf(), memory, Swap::LikeMemory)?;
        Ok(cgroups.file(parent, cgroups.memory_file()))
    }

    fn memory_file(&self) -> &'static str {
        match self.hierarchies {
            Hierarchies::Legacy(_) => "memory.limit_in_bytes",
            Hierarchies::Unified => "memory.max",
        }
    }

    /// Returns the number of processes of the container that the kernel has killed for lack of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let file = match self.hierarchies {
            Hierarchies::Legacy(_) => "memory.oom_control",
            Hierarchies::Unified => "memory.events",
        };
        // A cgroup of v1 counts without those below.
        let cgroups = [PathBuf::from(&self.name), self.leaf()];
        let texts = cgroups
            .iter()
            .map(|cgroup| fs::read_to_string(self.file(cgroup, file)));
        let counts = texts.flatten().map(|text| oom_kills_in(&text));
        counts.max().unwrap_or(0)
    }

    fn leaf(&self) -> PathBuf {
        Path::new(&self.name).join(LEAF)
    }

    fn make(&self, cgroup: &Path) -> Result<(), RunError> {
        for top in self.hierarchies.tops() {
            let path = top.join(PARENT_CGROUP).join(cgroup);
            create_with_parents(&path).map_err(at("create", &path))?;
        }
        Ok(())
    }

    fn limit(&self, cgroup: &Path, limits: &Limits) -> Result<(), RunError> {
        if let Limit::At(memory) = limits.memory {
            self.limit_memory(cgroup, memory, limits.swap)?;
        }
        if let Limit::At(quota) = limits.cpu {
            let (quota, period) = (quota.0, CPU_PERIOD.0);
            match self.hierarchies {
                Hierarchies::Legacy(_) => {
                    self.write(cgroup, "cpu.cfs_period_us", &period.to_string())?;
                    self.write(cgroup, "cpu.cfs_quota_us", &quota.to_string())?;
                }
                Hierarchies::Unified => {
                    self.write(cgroup, "cpu.max", &format!("{quota} {period}"))?;
                }
            }
        }
        if let Some(cpus) = &limits.cpuset {
            self.write(cgroup, "cpuset.cpus", &cpus.to_string())?;
        }
        Ok(())
    }

    /// Sets the limits of memory and of swap. A kernel that does not count swap lacks the file of
    /// the swap limit, which is an error only after `--memory-swap`.
    fn limit_memory(&self, cgroup: &Path, memory: Bytes, swap: Swap) -> Result<(), RunError> {
        let (swap_file, swap_text) = match self.hierarchies {
            Hierarchies::Legacy(_) => ("memory.memsw.limit_in_bytes", legacy_swap(memory, swap)),
            Hierarchies::Unified => ("memory.swap.max", unified_swap(memory, swap)),
        };
        self.write(cgroup, self.memory_file(), &memory.0.to_string())?;
        match swap {
            _ if self.file(cgroup, swap_file).exists() => self.write(cgroup, swap_file, &swap_text),
            Swap::Total(_) => Err(RunError::NoSwapLimit),
            Swap::LikeMemory | Swap::Unlimited => Ok(()),
        }
    }

    /// Allows the container only Docker's devices. On v2, which has no device files, a root
    /// without device nodes and the absence of CAP_MKNOD take the place of the rules.
    fn limit_devices(&self) -> Result<(), RunError> {
        let cgroup = Path::new(&self.name);
        let Hierarchies::Legacy(_) = self.hierarchies else {
            return Ok(());
        };
        if self.hierarchies.directory("devices", cgroup).is_none() {
            return Ok(());
        }
        self.write(cgroup, "devices.deny", "a")?;
        ALLOWED_DEVICES
            .iter()
            .try_for_each(|rule| self.write(cgroup, "devices.allow", rule))
    }

    fn write(&self, cgroup: &Path, file: &str, text: &str) -> Result<(), RunError> {
        let path = self.file(cgroup, file);
        fs::write(&path, text).map_err(at("write a limit to", path))
    }

    /// Returns the path of a file, whose name begins with its controller.
    fn file(&self, cgroup: &Path, file: &str) -> PathBuf {
        let controller = file.split('.').next().unwrap_or(file);
        let directory = self.hierarchies.directory(controller, cgroup);
        file_of(&directory.unwrap_or_default(), file)
    }
}

impl Drop for ContainerCgroups {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Returns the count in the text of `memory.events` or `memory.oom_control`.
fn oom_kills_in(text: &str) -> u64 {
    let counts = text
        .lines()
        .filter_map(|line| line.strip_prefix("oom_kill "));
    let mut counts = counts.filter_map(|count| count.trim().parse().ok());
    counts.next().unwrap_or(0)
}

/// Returns the text of `memory.swap.max`, which counts only swap.
fn unified_swap(memory: Bytes, swap: Swap) -> String {
    match swap {
        Swap::LikeMemory => memory.0.to_string(),
        Swap::Unlimited => "max".to_owned(),
        Swap::Total(total) => total.less(memory).0.to_string(),
    }
}

/// Returns the text of `memory.memsw.limit_in_bytes`, which counts memory and swap together.
fn legacy_swap(memory: Bytes, swap: Swap) -> String {
    match swap {
        Swap::LikeMemory => memory.plus(memory).0.to_string(),
        Swap::Unlimited => "-1".to_owned(),
        Swap::Total(total) => total.0.to_string(),
    }
}

/// Makes a directory and its parents. Tries again when another container, at its end, removes the
/// common parent in between.
fn create_with_parents(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + REMOVAL_TIMEOUT;
    loop {
        match fs::create_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && Instant::now() < deadline => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_read_from_the_files_of_both_versions() {
        for (text, kills) in [
            (
                "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n",
                2,
            ),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3),
            ("oom_kill_disable 0\nunder_oom 0\n", 0),
        ] {
            assert_eq!(oom_kills_in(text), kills);
        }
    }

    #[test]
    fn swap_is_counted_alone_on_v2_and_with_memory_on_v1() {
        let memory = Bytes(100);
        for (swap, unified, legacy) in [
            (Swap::LikeMemory, "100", "200"),
            (Swap::Unlimited, "max", "-1"),
            (Swap::Total(Bytes(150)), "50", "150"),
        ] {
            assert_eq!(unified_swap(memory, swap), unified);
            assert_eq!(legacy_swap(memory, swap), legacy);
        }
    }
}
