//! The contestants that serve the files of a container: the kernel, lxcfs, Plimsoll, and copies.

use super::{
    harness::{Cgroup, Daemon},
    passthrough::Passthrough,
    reader::Reader,
    world::World,
};
use anyhow::Context;
use nix::{
    mount::{MsFlags, mount},
    time::clock_getcpuclockid,
    unistd::Pid,
};
use plimsoll::view::files::CPUS;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

/// The name of a contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    /// The kernel's own files.
    Native,
    /// The files of lxcfs.
    Lxcfs,
    /// The container's own directory of Plimsoll.
    Plimsoll,
    /// The shared tree of Plimsoll, in which the daemon must find the container of the reader.
    PlimsollShared,
    /// Copies on a tmpfs: the cost of a read in the kernel alone.
    Floor,
    /// Copies through a FUSE file system that computes nothing: the cost of a request to a process.
    Passthrough,
}

/// A server of the files of a container.
pub(crate) struct Contestant {
    /// The name.
    pub(crate) whose: Whose,
    source: Source,
}

/// The source of the files.
#[derive(Clone)]
enum Source {
    /// The kernel.
    Kernel,
    /// A daemon: ours, or lxcfs.
    Daemon(Rc<Daemon>),
    /// Copies in that directory.
    Copies(PathBuf),
    /// Copies through FUSE.
    Passthrough(Rc<Passthrough>),
}

impl Contestant {
    /// Starts all contestants that are installed, the kernel first and Plimsoll last.
    pub(crate) fn all(world: &World, with_shared: bool) -> anyhow::Result<Vec<Contestant>> {
        let mut all = Vec::new();
        for whose in [Whose::Native, Whose::Lxcfs, Whose::Plimsoll] {
            all.extend(Contestant::start(world, whose)?);
        }
        if let Some(ours) = all.last().filter(|_| with_shared) {
            let source = ours.source.clone();
            all.push(Contestant {
                whose: Whose::PlimsollShared,
                source,
            });
        }
        Ok(all)
    }

    /// Starts one contestant with a daemon of its own. Returns none if it is not installed.
    pub(crate) fn start(world: &World, whose: Whose) -> anyhow::Result<Option<Contestant>> {
        let mountpoint = || -> anyhow::Result<PathBuf> {
            let path = world.directory.path().join(format!("{whose:?}"));
            fs::create_dir_all(&path)?;
            Ok(path)
        };
        let daemon = match whose {
            Whose::Native | Whose::Floor | Whose::Passthrough => None,
            Whose::Lxcfs if !on_path("lxcfs") => return Ok(None),
            Whose::Lxcfs => Some(Daemon::lxcfs_on(mountpoint()?)),
            Whose::Plimsoll | Whose::PlimsollShared => Some(Daemon::on(mountpoint()?)),
        };
        let daemon = daemon.map(|daemon| Source::Daemon(Rc::new(daemon)));
        Ok(Some(Contestant {
            whose,
            source: daemon.unwrap_or(Source::Kernel),
        }))
    }

    /// Copies the kernel's files to a tmpfs.
    pub(crate) fn floor(world: &World, files: &[String]) -> anyhow::Result<Contestant> {
        let copies = world.directory.path().join("floor");
        fs::create_dir_all(&copies)?;
        let none: Option<&str> = None;
        mount(none, &copies, Some("tmpfs"), MsFlags::empty(), none).context("no tmpfs")?;
        for file in files {
            let copy = copies.join(file);
            fs::create_dir_all(copy.parent().context("no parent")?)?;
            fs::write(&copy, fs::read(Path::new("/").join(file))?)?;
        }
        Ok(Contestant {
            whose: Whose::Floor,
            source: Source::Copies(copies),
        })
    }

    /// Copies the kernel's files, and serves the copies through FUSE.
    pub(crate) fn passthrough(world: &World, files: &[String]) -> anyhow::Result<Contestant> {
        let mountpoint = world.directory.path().join("passthrough");
        fs::create_dir_all(&mountpoint)?;
        Ok(Contestant {
            whose: Whose::Passthrough,
            source: Source::Passthrough(Rc::new(Passthrough::on(mountpoint, files)?)),
        })
    }

    /// Returns the view of that container, or none for the kernel's own files.
    pub(crate) fn view(&self, cgroup: &Cgroup) -> Option<PathBuf> {
        match (&self.source, self.whose) {
            (Source::Kernel, _) => None,
            (Source::Copies(copies), _) => Some(copies.clone()),
            (Source::Passthrough(copies), _) => Some(copies.mountpoint.clone()),
            (Source::Daemon(daemon), Whose::Plimsoll) => {
                let own = format!("containers/{}", cgroup.key());
                Some(daemon.mountpoint.join(own))
            }
            (Source::Daemon(daemon), _) => Some(daemon.mountpoint.clone()),
        }
    }

    /// Asserts that the contestant serves that file.
    pub(crate) fn serves(&self, file: &str, cgroup: &Cgroup) -> bool {
        let root = self.view(cgroup).unwrap_or_else(|| PathBuf::from("/"));
        root.join(file).exists()
    }

    /// Starts a reader in that container with these files bound over the kernel's. The reader is not yet ready.
    pub(crate) fn reader(&self, files: &[&str], cgroup: &Cgroup) -> anyhow::Result<Reader> {
        Reader::start(cgroup, self.binds(files, cgroup))
    }

    /// Returns the binds of these files over the kernel's: source and target.
    pub(crate) fn binds(&self, files: &[&str], cgroup: &Cgroup) -> Vec<(PathBuf, PathBuf)> {
        let Some(view) = self.view(cgroup) else {
            return Vec::new();
        };
        let mut paths: Vec<&str> = files.iter().copied().map(bound).collect();
        paths.retain(|path| view.join(path).exists());
        paths.dedup();
        let bind = |path| (view.join(path), Path::new("/").join(path));
        paths.into_iter().map(bind).collect()
    }

    /// Lists the processes of the daemon: itself and its descendants.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found = match &self.source {
            Source::Kernel | Source::Copies(_) => Vec::new(),
            Source::Daemon(daemon) => vec![daemon.process.id()],
            Source::Passthrough(copies) => vec![copies.process.id()],
        };
        let mut next = 0;
        while let Some(pid) = found.get(next).copied() {
            next += 1;
            for task in fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten()
            {
                let children = task.map(|task| task.path().join("children"));
                let children = children.and_then(fs::read_to_string).unwrap_or_default();
                let children = children.split_whitespace();
                found.extend(children.filter_map(|child| child.parse::<u32>().ok()));
            }
        }
        found
    }

    /// Returns the CPU time of these processes and of their children that have ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut sum = Duration::ZERO;
        for pid in self.processes() {
            // A child may end at any time.
            let Ok(clock) = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?)) else {
                continue;
            };
            sum += nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit(") ").next().context("no stat")?;
            // Fields 16 and 17 of `proc_pid_stat(5)`; the third is the first after the name.
            let ticks = after_name.split(' ').skip(13).take(2);
            let ticks: u64 = ticks.map(|ticks| ticks.parse().unwrap_or(0)).sum();
            sum += Duration::from_millis(10 * ticks);
        }
        Ok(sum)
    }

    /// Returns the memory of these processes in KiB. Shared memory counts once, in parts (`Pss` of
    /// `proc_pid_smaps(5)`).
    pub(crate) fn pss(&self) -> u64 {
        self.sum(|pid| {
            let path = format!("/proc/{pid}/smaps_rollup");
            number(&fs::read_to_string(path).unwrap_or_default(), "Pss:")
        })
    }

    /// Returns the number of descriptors of these processes.
    pub(crate) fn descriptors(&self) -> u64 {
        self.sum(|pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd"));
            open.map_or(0, |open| open.count() as u64)
        })
    }

    /// Returns the number of context switches of all threads. A wakeup precedes each of them.
    pub(crate) fn switches(&self) -> u64 {
        self.sum(|pid| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten();
            let switches = tasks.flatten().map(|task| -> u64 {
                let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
                number(&status, "voluntary_ctxt_switches:")
                    + number(&status, "nonvoluntary_ctxt_switches:")
            });
            switches.sum()
        })
    }

    fn sum(&self, of: impl Fn(u32) -> u64) -> u64 {
        self.processes().into_iter().map(of).sum()
    }
}

/// Returns the number in the line that begins with `name`, or 0 if the process has ended meanwhile.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap_or(0))
}

/// Returns the path that is bound over the kernel's to show the file: the file, or a directory of `/sys`.
fn bound(file: &str) -> &str {
    if file.starts_with(CPUS) { CPUS } else { file }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
