//! What the tests of the real program share: the program, a daemon, a cgroup, a container by hand.

use std::{
    fs,
    io::{BufRead, BufReader},
    mem::ManuallyDrop,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// The program under test.
pub(crate) fn plimsoll() -> Command {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
}

/// What a program printed, when it should have succeeded.
pub(crate) fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number in the line of a file like meminfo that begins with `name` and a colon.
pub(crate) fn field(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {name} in: {text}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// So long after a change an answer may be of the moment before it: the default of `--max-age`, the
/// jiffies for which the kernel does not ask again, and some play.
pub(crate) const AGE: Duration = Duration::from_millis(50);

/// Waits until `is_so`, for at most half a minute (an emulated machine is slow).
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("plimsoll-test-{name}-{}-{next}", std::process::id())
}

/// A daemon with its keeper on a mount point of its own, ended and unmounted when dropped.
pub(crate) struct Daemon {
    pub(crate) process: Child,
    pub(crate) mountpoint: PathBuf,
}

impl Daemon {
    /// Starts one on a new mount point, and waits until it serves.
    pub(crate) fn start() -> Daemon {
        Daemon::on(Daemon::place())
    }

    /// A new mount point.
    pub(crate) fn place() -> PathBuf {
        let mountpoint = std::env::temp_dir().join(unique("daemon"));
        fs::create_dir(&mountpoint).unwrap();
        mountpoint
    }

    /// Starts one on that mount point, and waits until it serves.
    pub(crate) fn on(mountpoint: PathBuf) -> Daemon {
        Daemon::with(mountpoint, &[])
    }

    /// The same, with options.
    pub(crate) fn with(mountpoint: PathBuf, options: &[&str]) -> Daemon {
        Daemon::by(plimsoll(), mountpoint, options)
    }

    /// One that may have no more than so many descriptors.
    pub(crate) fn with_descriptors(most: u32) -> Daemon {
        let mut command = Command::new("prlimit");
        let limit = format!("--nofile={most}:{most}");
        command.arg(limit).arg(plimsoll().get_program());
        Daemon::by(command, Daemon::place(), &[])
    }

    fn by(mut command: Command, mountpoint: PathBuf, options: &[&str]) -> Daemon {
        let mut process = command
            .arg("daemon")
            .arg(&mountpoint)
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("serving") {
            match log.next() {
                Some(Ok(line)) => said += &line,
                _ => panic!("the daemon did not serve: {said}"),
            }
        }
        // Its log must be read on, or it would stand still one day.
        std::thread::spawn(move || log.for_each(drop));
        Daemon {
            process,
            mountpoint,
        }
    }

    /// The pid of the process that serves; that of a keeper, if it has one, is `process`.
    pub(crate) fn serving(&self) -> u32 {
        let process = self.process.id();
        children(process).first().copied().unwrap_or(process)
    }

    /// Kills the daemon and its keeper, as nothing can that spares one of them.
    pub(crate) fn kill(&mut self) {
        let daemons = children(self.process.id());
        self.signal("STOP");
        for pid in daemons {
            kill("KILL", pid);
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts lxcfs on a new mount point, with all it offers, and waits until it serves.
    pub(crate) fn rival() -> Daemon {
        let mountpoint = std::env::temp_dir().join(unique("rival"));
        fs::create_dir(&mountpoint).unwrap();
        Daemon::rival_on(mountpoint)
    }

    /// Starts lxcfs on that mount point, and waits until it serves.
    pub(crate) fn rival_on(mountpoint: PathBuf) -> Daemon {
        let process = Command::new("lxcfs")
            .args(["-l", "--enable-cfs"])
            .arg(format!("--pidfile={}.pid", mountpoint.display()))
            .arg(&mountpoint)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("lxcfs is not installed");
        let daemon = Daemon {
            process,
            mountpoint,
        };
        wait_until("lxcfs serves", || daemon.path("proc/meminfo").exists());
        daemon
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.mountpoint.join(file)
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, self.process.id());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // A keeper that is killed would be replaced by another one.
            self.signal("TERM");
            self.signal("CONT");
        }
        let _ = self.process.wait();
        let _ = Command::new("umount")
            .arg("-l")
            .arg(&self.mountpoint)
            .output();
        let _ = fs::remove_dir(&self.mountpoint);
    }
}

/// Sends a signal to a process that is there.
pub(crate) fn kill(signal: &str, pid: u32) {
    let pid = pid.to_string();
    let status = Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(status.unwrap().success(), "kill -s {signal} {pid}");
}

/// The children of a process that has one thread.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    numbers(&list.unwrap_or_default())
}

/// The numbers in a list like that of a process's children.
pub(crate) fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

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

    /// The name of its directory below `containers`.
    pub(crate) fn key(&self) -> u64 {
        let directory = hierarchy("memory").join(&self.path);
        fs::metadata(directory).unwrap().ino()
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
        let path = if is_v2() {
            v2_root().join(&self.path).join(v2)
        } else {
            v1_root(controller).join(&self.path).join(v1)
        };
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
            let dir = root.join(&self.path);
            // A process that has just ended may still be counted.
            for _ in 0..100 {
                match fs::remove_dir(&dir) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    _ => break,
                }
            }
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
