//! Makes cgroups, and containers by hand in them.

use super::{Daemon, stdout_of, unique};
use std::{
    fs,
    mem::ManuallyDrop,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// A cgroup in every hierarchy that holds a controller of interest. Removed when dropped.
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes a cgroup with a name of its own at the top of the hierarchies.
    pub(crate) fn new() -> Cgroup {
        Cgroup::make(PathBuf::from(unique("cgroup")))
    }

    /// Returns a cgroup that another process made and removes, by its [path](Cgroup::path).
    pub(crate) fn of_another(path: &Path) -> ManuallyDrop<Cgroup> {
        let path = path.strip_prefix("/").unwrap().to_owned();
        ManuallyDrop::new(Cgroup { path })
    }

    /// Makes a cgroup below this one.
    pub(crate) fn child(&self, name: &str) -> Cgroup {
        Cgroup::make(self.path.join(name))
    }

    /// Makes a cgroup below this one, which gets no controller of v2: so this one may have processes.
    pub(crate) fn child_without_controllers(&self, name: &str) -> Cgroup {
        Cgroup::make_directories(self.path.join(name))
    }

    fn make(path: PathBuf) -> Cgroup {
        if is_v2() {
            // A controller must be enabled in every cgroup above.
            let above = v2_root().join(&path);
            let control = above.parent().unwrap().join("cgroup.subtree_control");
            for controller in ["memory", "cpu", "cpuset", "pids"] {
                let _ = fs::write(&control, format!("+{controller}"));
            }
        }
        Cgroup::make_directories(path)
    }

    fn make_directories(path: PathBuf) -> Cgroup {
        for root in roots() {
            let dir = root.join(&path);
            fs::create_dir_all(&dir).unwrap();
            for file in ["cpuset.cpus", "cpuset.mems"] {
                // A cpuset of v1 takes no process before it has CPUs and memory nodes.
                let above = dir.parent().unwrap().join(file);
                if !is_v2() && dir.join(file).exists() {
                    fs::write(dir.join(file), fs::read(above).unwrap()).unwrap();
                }
            }
        }
        Cgroup { path }
    }

    /// Returns the path from the root of the hierarchy.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/").join(&self.path)
    }

    /// Returns the directory in the hierarchy that has that controller.
    pub(crate) fn directory(&self, controller: &str) -> PathBuf {
        hierarchy(controller).join(&self.path)
    }

    /// Returns the name of the container's directory below `containers`.
    pub(crate) fn key(&self) -> u64 {
        fs::metadata(self.directory("memory")).unwrap().ino()
    }

    /// Returns the `cgroup.procs` of every hierarchy. A process moves in when its pid is written to all.
    pub(crate) fn procs(&self) -> Vec<PathBuf> {
        let own = |root: PathBuf| root.join(&self.path).join("cgroup.procs");
        roots().into_iter().map(own).collect()
    }

    /// Limits memory, in bytes.
    pub(crate) fn limit_memory(&self, bytes: u64) {
        self.write(
            "memory.max",
            "memory",
            "memory.limit_in_bytes",
            &bytes.to_string(),
        );
    }

    /// Limits swap, in bytes. Works on cgroup v2 only.
    pub(crate) fn limit_swap(&self, bytes: u64) {
        self.write("memory.swap.max", "", "", &bytes.to_string());
    }

    /// Limits CPU time, in hundredths of a CPU.
    pub(crate) fn limit_cpu(&self, percent: u64) {
        let quota = percent * 1000;
        if is_v2() {
            self.write("cpu.max", "", "", &format!("{quota} 100000"));
        } else {
            self.write("", "cpu", "cpu.cfs_quota_us", &quota.to_string());
        }
    }

    /// Limits the CPUs to a list in the form of `cpuset.cpus`, such as `0-1`.
    pub(crate) fn limit_cpus(&self, list: &str) {
        self.write("cpuset.cpus", "cpuset", "cpuset.cpus", list);
    }

    fn write(&self, v2: &str, controller: &str, v1: &str, value: &str) {
        let file = if is_v2() { v2 } else { v1 };
        let path = self.directory(controller).join(file);
        fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Returns lines of a shell script that move the process with that pid into this cgroup.
    pub(crate) fn join(&self, pid: &str) -> String {
        let line = |procs: PathBuf| format!("echo {pid} > {}\n", procs.display());
        self.procs().into_iter().map(line).collect()
    }

    /// Returns a shell with that script in this cgroup, in a pid and a mount namespace of its own. The
    /// shared tree of the daemon is bound over its /proc and /sys.
    pub(crate) fn shell(&self, daemon: &Daemon, script: &str) -> Command {
        self.shell_on(&daemon.mountpoint, script)
    }

    /// Returns the standard output of a script that must succeed in such a [shell](Cgroup::shell).
    #[track_caller]
    pub(crate) fn stdout(&self, daemon: &Daemon, script: &str) -> String {
        stdout_of(&self.shell(daemon, script).output().unwrap())
    }

    /// Returns such a [shell](Cgroup::shell) over the view of any server.
    pub(crate) fn shell_on(&self, view: &Path, script: &str) -> Command {
        let joined = self.join("$$");
        let view = view.display();
        let binds = format!(
            "cd {view}; for f in proc/* sys/devices/system/*; do mount --bind $f /$f; done; cd /"
        );
        let mut command = Command::new("sh");
        command.arg("-ec").arg(format!(
            "{joined} exec unshare -pfm --kill-child --mount-proc --propagation private sh -ec \"$SCRIPT\""
        ));
        command.env("SCRIPT", format!("{binds}\n{script}"));
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for root in roots() {
            remove(&root.join(&self.path));
        }
    }
}

/// Removes a cgroup without children. A process that has just ended may still be counted for a moment.
pub(crate) fn remove(directory: &Path) {
    for _ in 0..100 {
        match fs::remove_dir(directory) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => break,
        }
    }
}

/// Asserts that the memory controller is in the v2 hierarchy.
pub(crate) fn is_v2() -> bool {
    !v1_roots()
        .iter()
        .any(|(_, controllers)| controllers.iter().any(|name| name == "memory"))
}

/// Returns the root of the hierarchy that has that controller.
pub(crate) fn hierarchy(controller: &str) -> PathBuf {
    if is_v2() {
        v2_root()
    } else {
        v1_root(controller)
    }
}

fn mounts() -> Vec<plimsoll::base::mountinfo::Mount> {
    plimsoll::base::mountinfo::own().unwrap()
}

fn v1_roots() -> Vec<(PathBuf, Vec<String>)> {
    let v1 = mounts().into_iter().filter(|mount| mount.kind == "cgroup");
    v1.map(|mount| (mount.point, mount.options)).collect()
}

fn v1_root(controller: &str) -> PathBuf {
    let roots = v1_roots();
    let root = roots
        .iter()
        .find(|(_, names)| names.iter().any(|name| name == controller));
    root.unwrap_or_else(|| panic!("no hierarchy has {controller}"))
        .0
        .clone()
}

fn v2_root() -> PathBuf {
    let mount = mounts().into_iter().find(|mount| mount.kind == "cgroup2");
    mount.expect("a cgroup2 mount").point
}

/// Returns the roots of the hierarchies in which a [`Cgroup`] has a directory.
pub(crate) fn roots() -> Vec<PathBuf> {
    if is_v2() {
        vec![v2_root()]
    } else {
        let mut roots: Vec<PathBuf> = ["memory", "cpu", "cpuacct", "cpuset"].map(v1_root).to_vec();
        roots.dedup();
        roots
    }
}
