//! Who serves a container's files: the kernel itself, lxcfs, Plimsoll.

use super::{
    harness::{Cgroup, Daemon},
    reader::Reader,
    world::World,
};
use anyhow::Context;
use nix::{time::clock_getcpuclockid, unistd::Pid};
use plimsoll::files::CPUS;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

/// Whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    /// The kernel's own.
    Native,
    /// Those of lxcfs.
    Lxcfs,
    /// Those of the container's own directory.
    Plimsoll,
    /// Those of the shared tree, where the reader is found out.
    PlimsollShared,
}

/// One of those that are raced.
pub(crate) struct Contestant {
    /// Whose files these are.
    pub(crate) whose: Whose,
    daemon: Option<Rc<Daemon>>,
}

impl Contestant {
    /// All that are here, the kernel first and Plimsoll last.
    pub(crate) fn all(world: &World, with_shared: bool) -> anyhow::Result<Vec<Contestant>> {
        let mut all = vec![Contestant {
            whose: Whose::Native,
            daemon: None,
        }];
        let mountpoint = |name: &str| -> anyhow::Result<PathBuf> {
            let path = world.directory.path().join(name);
            fs::create_dir(&path)?;
            Ok(path)
        };
        if on_path("lxcfs") {
            all.push(Contestant {
                whose: Whose::Lxcfs,
                daemon: Some(Rc::new(Daemon::rival_on(mountpoint("lxcfs")?))),
            });
        }
        let ours = Rc::new(Daemon::on(mountpoint("plimsoll")?));
        let mut push = |whose| {
            let daemon = Some(Rc::clone(&ours));
            all.push(Contestant { whose, daemon });
        };
        if with_shared {
            push(Whose::PlimsollShared);
        }
        push(Whose::Plimsoll);
        Ok(all)
    }

    /// Where it serves that container; none for the kernel's own.
    pub(crate) fn view(&self, cgroup: &Cgroup) -> Option<PathBuf> {
        let mountpoint = &self.daemon.as_ref()?.mountpoint;
        Some(match self.whose {
            Whose::Plimsoll => mountpoint.join(format!("containers/{}", cgroup.key())),
            _ => mountpoint.clone(),
        })
    }

    /// Whether it serves that file.
    pub(crate) fn serves(&self, file: &str, cgroup: &Cgroup) -> bool {
        let root = self.view(cgroup).unwrap_or_else(|| PathBuf::from("/"));
        root.join(file).exists()
    }

    /// A reader in that container with its files over the kernel's.
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

    /// The CPU time that its daemon and the daemon's children have used.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let Some(daemon) = &self.daemon else {
            return Ok(Duration::ZERO);
        };
        let pid = daemon.serving();
        let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))?;
        let own: Duration = nix::time::clock_gettime(clock)?.into();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = stat.rsplit(") ").next().context("no stat")?;
        // Fields 16 and 17 of `proc_pid_stat(5)`; the third is the first after the name.
        let ticks = after_name.split(' ').skip(13).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse().unwrap_or(0)).sum();
        Ok(own + Duration::from_millis(10 * ticks))
    }
}

/// What is bound over the kernel's so that the file is seen: itself, or a directory of `/sys`.
fn bound(file: &str) -> &str {
    if file.starts_with(CPUS) { CPUS } else { file }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
