//! A cgroup of its own in every hierarchy, and a container by hand in it.

use super::{Daemon, stdout_of, unique};
use std::{
    fs,
    mem::ManuallyDrop,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// A cgroup in every hierarchy that counts, with everything below it removed when dropped.
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// A new one at the top of the hierarchies.
    pub(crate) fn new() -> Cgroup {
        Cgroup::make(PathBuf::from(unique("cgroup")))
    }

    /// One that somebody else made and removes, by its [path](Cgroup::path).
    pub(crate) fn of_another(path: &Path) -> ManuallyDrop<Cgroup> {
        let path = path.strip_prefix("/").unwrap().to_owned();
        ManuallyDrop::new(Cgroup { path })
    }

    /// A new one in this one.
    pub(crate) fn child(&self, name: &str) -> Cgroup {
        Cgroup::make(self.path.join(name))
    }

    fn make(path: PathBuf) -> Cgroup {
        for root in roots() {
            let dir = root.join(&path);
            if is_v2() {
                // A controller has to be enabled in every cgroup above.
                let above = dir.parent().unwrap();
                for controller in ["memory", "cpu", "cpuset", "pids"] {
                    let _ = fs::write(
                        above.join("cgroup.subtree_control"),
                        format!("+{controller}"),
                    );
                }
            }
            fs::create_dir_all(&dir).unwrap();
            for file in ["cpuset.cpus", "cpuset.mems"] {
                // A cpuset of v1 holds nothing before it is given CPUs and memory.
                let above = dir.parent().unwrap().join(file);
                if !is_v2() && dir.join(file).exists() {
                    fs::write(dir.join(file), fs::read(above).unwrap()).unwrap();
                }
            }
        }
        Cgroup { path }
    }

    /// The path from the root of its hierarchy.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/").join(&self.path)
    }

    /// Returns the directory in the hierarchy that has that controller.
    pub(crate) fn directory(&self, controller: &str) -> PathBuf {
        hierarchy(controller).join(&self.path)
    }

    /// The name of its directory below `containers`.
    pub(crate) fn key(&self) -> u64 {
        fs::metadata(self.directory("memory")).unwrap().ino()
    }

    /// The files that a pid is written to to put that process into it.
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

    /// Limits swap, in bytes; on cgroup v2 alone.
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

    /// Limits the CPUs to those of the list.
    pub(crate) fn limit_cpus(&self, list: &str) {
        self.write("cpuset.cpus", "cpuset", "cpuset.cpus", list);
    }

    fn write(&self, v2: &str, controller: &str, v1: &str, value: &str) {
        let file = if is_v2() { v2 } else { v1 };
        let path = self.directory(controller).join(file);
        fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Lines of a shell script that put the process with that pid into this cgroup.
    pub(crate) fn join(&self, pid: &str) -> String {
        let line = |procs: PathBuf| format!("echo {pid} > {}\n", procs.display());
        self.procs().into_iter().map(line).collect()
    }

    /// A shell in this cgroup, in pid and mount namespaces of its own, that reads its files from
    /// the daemon's shared tree.
    pub(crate) fn shell(&self, daemon: &Daemon, script: &str) -> Command {
        self.shell_on(&daemon.mountpoint, script)
    }

    /// Returns the standard output of a script that must succeed in such a [shell](Cgroup::shell).
    #[track_caller]
    pub(crate) fn stdout(&self, daemon: &Daemon, script: &str) -> String {
        stdout_of(&self.shell(daemon, script).output().unwrap())
    }

    /// The same from the view there, whoever serves it.
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

/// Whether the memory controller is in the v2 hierarchy.
pub(crate) fn is_v2() -> bool {
    !v1_roots()
        .iter()
        .any(|(_, controllers)| controllers.iter().any(|name| name == "memory"))
}

/// The root of the hierarchy that has that controller.
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

/// The directories that a cgroup is made in: one a hierarchy that counts.
pub(crate) fn roots() -> Vec<PathBuf> {
    if is_v2() {
        vec![v2_root()]
    } else {
        let mut roots: Vec<PathBuf> = ["memory", "cpu", "cpuacct", "cpuset"].map(v1_root).to_vec();
        roots.dedup();
        roots
    }
}
