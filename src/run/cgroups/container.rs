//! The cgroups of a container: made, limited and removed here; libcontainer only joins them.
//!
//! libcgroups 0.7 is not asked to set limits: on v1 it demands the devices controller whatever is
//! limited and denies no device, on v2 it creates controllers without saying which it could not
//! enable, and a refused value comes back as a path and a number. So the directories stand, with
//! their limits, before libcontainer's first process enters them.
//!
//! A container is in a leaf of its cgroups, `box`. Root in a container can make a user namespace,
//! mount the cgroup file system there, and change what lies at the root of its cgroup namespace and
//! below: that is the leaf. The limits that bind lie above it. The leaf repeats them, because that
//! is where programs which look for limits themselves find them.
//!
//! The cgroups lie below `plimsoll` at the top of each hierarchy. systemd leaves alone what it
//! did not make; controllers stay on there even if it no longer needs them itself, because the
//! kernel refuses to take a controller from a cgroup whose child has handed it on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    base::units::{Bytes, Limit},
    run::{
        cgroups::hierarchies::{ABOVE, Hierarchies},
        error::{RunError, at},
        options::request::{Limits, PERIOD, Swap},
    },
};

/// How long the dying processes of a container may take to leave its cgroups.
const PATIENCE: Duration = Duration::from_secs(5);

/// The leaf that holds a container's processes.
const LEAF: &str = "box";

/// The cgroups of one container, removed with every process in them when dropped.
#[derive(Debug)]
pub(crate) struct Cgroups {
    name: String,
    hierarchies: Hierarchies,
}

impl Cgroups {
    /// Makes the cgroups of a container and limits them, all but the number of processes: while a
    /// container is made there are more than it will hold.
    ///
    /// # Errors
    ///
    /// When a directory cannot be made, a controller cannot be enabled, or a limit is refused.
    pub(crate) fn create(
        hierarchies: Hierarchies,
        name: &str,
        limits: &Limits,
    ) -> Result<Cgroups, RunError> {
        let cgroups = Cgroups {
            name: name.to_owned(),
            hierarchies,
        };
        let (own, leaf) = (PathBuf::from(name), Path::new(name).join(LEAF));
        cgroups.make(&own)?;
        cgroups.hierarchies.ready(name, limits)?;
        cgroups.limit(&own, limits)?;
        // A leaf inherits what devices it is given when it is made.
        cgroups.limit_devices()?;
        cgroups.make(&leaf)?;
        cgroups.hierarchies.ready_leaf(&leaf, limits)?;
        cgroups.limit(&leaf, limits)?;
        Ok(cgroups)
    }

    fn make(&self, below: &Path) -> Result<(), RunError> {
        for top in self.hierarchies.tops() {
            let path = top.join(ABOVE).join(below);
            made(&path).map_err(at("make", &path))?;
        }
        Ok(())
    }

    /// The path of each cgroup below its hierarchy's top, as OCI's `cgroupsPath`.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/").join(ABOVE).join(self.leaf())
    }

    /// The directories, each with where a container expects it.
    pub(crate) fn binds(&self) -> Vec<(PathBuf, PathBuf)> {
        let bind = |top: PathBuf| (top.join(ABOVE).join(self.leaf()), top);
        self.hierarchies.tops().into_iter().map(bind).collect()
    }

    /// Limits the number of processes, once the container is made.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(crate) fn limit_pids(&self, limits: &Limits) -> Result<(), RunError> {
        match limits.pids {
            Limit::Unlimited => Ok(()),
            Limit::At(count) => [Path::new(&self.name), &self.leaf()]
                .into_iter()
                .try_for_each(|below| self.write(below, "pids", "pids.max", &count.to_string())),
        }
    }

    fn leaf(&self) -> PathBuf {
        Path::new(&self.name).join(LEAF)
    }

    fn limit(&self, below: &Path, limits: &Limits) -> Result<(), RunError> {
        let legacy = matches!(self.hierarchies, Hierarchies::Legacy(_));
        if let Limit::At(memory) = limits.memory {
            if legacy {
                self.legacy_memory(below, memory, limits.swap)?;
            } else {
                self.unified_memory(below, memory, limits.swap)?;
            }
        }
        if let Limit::At(quota) = limits.cpu {
            if legacy {
                self.write(below, "cpu", "cpu.cfs_period_us", &PERIOD.0.to_string())?;
                self.write(below, "cpu", "cpu.cfs_quota_us", &quota.0.to_string())?;
            } else {
                self.write(
                    below,
                    "cpu",
                    "cpu.max",
                    &format!("{} {}", quota.0, PERIOD.0),
                )?;
            }
        }
        if let Some(cpus) = &limits.cpuset {
            self.write(below, "cpuset", "cpuset.cpus", &cpus.to_string())?;
        }
        Ok(())
    }

    fn unified_memory(&self, below: &Path, memory: Bytes, swap: Swap) -> Result<(), RunError> {
        self.write(below, "memory", "memory.max", &memory.0.to_string())?;
        let (text, asked) = match swap {
            Swap::LikeMemory => (memory.0.to_string(), false),
            Swap::Unlimited => ("max".to_owned(), false),
            Swap::Total(total) => (total.less(memory).0.to_string(), true),
        };
        self.write_swap(below, "memory.swap.max", &text, asked)
    }

    fn legacy_memory(&self, below: &Path, memory: Bytes, swap: Swap) -> Result<(), RunError> {
        self.write(
            below,
            "memory",
            "memory.limit_in_bytes",
            &memory.0.to_string(),
        )?;
        let (text, asked) = match swap {
            Swap::LikeMemory => (memory.plus(memory).0.to_string(), false),
            Swap::Unlimited => ("-1".to_owned(), false),
            Swap::Total(total) => (total.0.to_string(), true),
        };
        self.write_swap(below, "memory.memsw.limit_in_bytes", &text, asked)
    }

    /// A kernel that does not count swap has no such file; that matters only to who asked.
    fn write_swap(
        &self,
        below: &Path,
        file: &str,
        text: &str,
        asked: bool,
    ) -> Result<(), RunError> {
        let there = self
            .directory(below, "memory")
            .is_some_and(|d| d.join(file).exists());
        match (there, asked) {
            (true, _) => self.write(below, "memory", file, text),
            (false, true) => Err(RunError::NoSwapLimit),
            (false, false) => Ok(()),
        }
    }

    /// Docker's devices, and no other; on v2 the missing capability to make device nodes and a
    /// root without them stand in.
    fn limit_devices(&self) -> Result<(), RunError> {
        let (below, controller) = (Path::new(&self.name), "devices");
        if self.directory(below, controller).is_none()
            || !matches!(self.hierarchies, Hierarchies::Legacy(_))
        {
            return Ok(());
        }
        self.write(below, controller, "devices.deny", "a")?;
        // Nodes may be made, for libcontainer makes those of /dev; opened only null, zero, full,
        // random, urandom, tty, console, ptmx and the terminals; and /dev/net/tun, which
        // libcontainer allows the leaf in any case, and cannot below a cgroup without it.
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
            "c 10:200 rwm",
        ] {
            self.write(below, controller, "devices.allow", rule)?;
        }
        Ok(())
    }

    fn write(
        &self,
        below: &Path,
        controller: &str,
        file: &str,
        text: &str,
    ) -> Result<(), RunError> {
        let directory = self.directory(below, controller).unwrap_or_default();
        let path = directory.join(file);
        fs::write(&path, text).map_err(at("write a limit to", path))
    }

    fn directory(&self, below: &Path, controller: &str) -> Option<PathBuf> {
        self.hierarchies.directory(controller, below)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Makes a directory and those above it, though others that end remove the one above all of ours.
fn made(path: &Path) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match fs::create_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && Instant::now() < until => {}
            made => return made,
        }
    }
}

/// Whether a container of this name has cgroups.
pub(crate) fn exist(name: &str) -> bool {
    Hierarchies::find().is_ok_and(|hierarchies| {
        let leaves = hierarchies.tops().into_iter();
        leaves
            .map(|top| top.join(ABOVE).join(name))
            .any(|leaf| leaf.exists())
    })
}

/// Kills what runs in the cgroups of a container, and removes them; what stays is logged.
pub(crate) fn remove(name: &str) {
    let Ok(hierarchies) = Hierarchies::find() else {
        return;
    };
    for top in hierarchies.tops() {
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
