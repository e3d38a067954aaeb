//! The servers of a container's files: the kernel itself, lxcfs, Plimsoll.

use super::{
    asked::Asked,
    harness::{Cgroup, Daemon},
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

/// A server of files, and the tree in which a reader finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    /// The kernel's own.
    Native,
    /// The files of lxcfs.
    Lxcfs,
    /// The files of the container's own directory.
    Plimsoll,
    /// The files of the shared tree, where the daemon looks up the reader's container.
    PlimsollShared,
    /// A copy on a tmpfs: what the kernel takes where nothing has to be made or asked.
    Floor,
    /// Copies that are served directly from user space by who does nothing else: what asking takes.
    Asked,
}

/// A server in the race.
pub(crate) struct Contestant {
    /// The name of the server.
    pub(crate) whose: Whose,
    source: Source,
}

/// The source of a contestant's files.
#[derive(Clone)]
enum Source {
    /// The kernel.
    Kernel,
    /// A daemon: ours, or lxcfs.
    Daemon(Rc<Daemon>),
    /// Copies in that directory.
    Copies(PathBuf),
    /// Copies that are asked for.
    Asked(Rc<Asked>),
}

impl Contestant {
    /// Starts every contestant that is installed here, the kernel first and Plimsoll last.
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

    /// Starts that contestant with a daemon of its own; returns `None` if it is not installed.
    pub(crate) fn start(world: &World, whose: Whose) -> anyhow::Result<Option<Contestant>> {
        let mountpoint = || -> anyhow::Result<PathBuf> {
            let path = world.directory.path().join(format!("{whose:?}"));
            fs::create_dir_all(&path)?;
            Ok(path)
        };
        let daemon = match whose {
            Whose::Native | Whose::Floor | Whose::Asked => None,
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

    /// Copies of the kernel's files on a tmpfs.
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

    /// Copies of the kernel's files that are asked for and are there already.
    pub(crate) fn asked(world: &World, files: &[String]) -> anyhow::Result<Contestant> {
        let mountpoint = world.directory.path().join("asked");
        fs::create_dir_all(&mountpoint)?;
        Ok(Contestant {
            whose: Whose::Asked,
            source: Source::Asked(Rc::new(Asked::on(mountpoint, files)?)),
        })
    }

    /// Returns the directory that is served to that container; `None` for the kernel's own files.
    pub(crate) fn view(&self, cgroup: &Cgroup) -> Option<PathBuf> {
        match (&self.source, self.whose) {
            (Source::Kernel, _) => None,
            (Source::Copies(copies), _) => Some(copies.clone()),
            (Source::Asked(asked), _) => Some(asked.mountpoint.clone()),
            (Source::Daemon(daemon), Whose::Plimsoll) => {
                let own = format!("containers/{}", cgroup.key());
                Some(daemon.mountpoint.join(own))
            }
            (Source::Daemon(daemon), _) => Some(daemon.mountpoint.clone()),
        }
    }

    /// Returns true if the contestant serves that file.
    pub(crate) fn serves(&self, file: &str, cgroup: &Cgroup) -> bool {
        let root = self.view(cgroup).unwrap_or_else(|| PathBuf::from("/"));
        root.join(file).exists()
    }

    /// A reader in that container with its files over the kernel's; not ready yet.
    pub(crate) fn reader(&self, files: &[&str], cgroup: &Cgroup) -> anyhow::Result<Reader> {
        let mut binds = Vec::new();
        if let Some(view) = self.view(cgroup) {
            let mut paths: Vec<&str> = files.iter().copied().map(bound).collect();
            paths.retain(|path| view.join(path).exists());
            paths.dedup();
            let bind = |path| (view.join(path), Path::new("/").join(path));
            binds = paths.into_iter().map(bind).collect();
        }
        Reader::start(cgroup, binds)
    }

    /// The processes of its daemon: itself and those below it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found = match &self.source {
            Source::Kernel | Source::Copies(_) => Vec::new(),
            Source::Daemon(daemon) => vec![daemon.process.id()],
            Source::Asked(asked) => vec![asked.process.id()],
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

    /// The CPU time that these have used, and those of them that have ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut sum = Duration::ZERO;
        for pid in self.processes() {
            // A helper may end at any time.
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

    /// Returns the memory of the contestant's processes, in KiB. Of shared memory each process counts
    /// its part (`Pss` of `proc_pid_smaps(5)`), or two processes of one program would count it twice.
    pub(crate) fn pss(&self) -> u64 {
        self.sum(|pid| {
            let path = format!("/proc/{pid}/smaps_rollup");
            number(&fs::read_to_string(path).unwrap_or_default(), "Pss:")
        })
    }

    /// Counts the descriptors of the contestant's processes.
    pub(crate) fn descriptors(&self) -> u64 {
        self.sum(|pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd"));
            open.map_or(0, |open| open.count() as u64)
        })
    }

    /// Counts the times that a thread of the contestant's processes gave up the CPU or was taken off it.
    /// The thread was woken before each of them.
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

/// The number in the line that begins so; 0 if the process has ended meanwhile.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap_or(0))
}

/// Returns the path to bind over the kernel's so that the file is seen: the file's own path, or a
/// directory of `/sys`.
fn bound(file: &str) -> &str {
    if file.starts_with(CPUS) { CPUS } else { file }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
