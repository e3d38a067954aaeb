//! Starts daemons of the program under test, and lxcfs.

use super::{children, kill, plimsoll, stop, unique, wait_until};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A daemon with its keeper on a mount point. Ended and unmounted when dropped.
pub(crate) struct Daemon {
    /// The process that was started: the keeper.
    pub(crate) process: Child,
    pub(crate) mountpoint: PathBuf,
}

impl Daemon {
    /// Starts a daemon on a new mount point, and waits until it serves.
    pub(crate) fn start() -> Daemon {
        Daemon::on(Daemon::new_mountpoint())
    }

    /// Makes a new mount point.
    pub(crate) fn new_mountpoint() -> PathBuf {
        let mountpoint = std::env::temp_dir().join(unique("daemon"));
        fs::create_dir(&mountpoint).unwrap();
        mountpoint
    }

    /// Starts a daemon on that mount point, and waits until it serves.
    pub(crate) fn on(mountpoint: PathBuf) -> Daemon {
        Daemon::with(mountpoint, &[])
    }

    /// Starts a daemon on that mount point with these options, and waits until it serves.
    pub(crate) fn with(mountpoint: PathBuf, options: &[&str]) -> Daemon {
        Daemon::spawn(plimsoll(), mountpoint, options)
    }

    /// Starts a daemon that can hold at most `max` descriptors.
    pub(crate) fn with_descriptors(max: u32) -> Daemon {
        let mut command = Command::new("prlimit");
        let limit = format!("--nofile={max}:{max}");
        command.arg(limit).arg(plimsoll().get_program());
        Daemon::spawn(command, Daemon::new_mountpoint(), &[])
    }

    fn spawn(mut command: Command, mountpoint: PathBuf, options: &[&str]) -> Daemon {
        let mut process = command
            .arg("daemon")
            .arg(&mountpoint)
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut text = String::new();
        while !text.contains("serving") {
            match log.next() {
                Some(Ok(line)) => text += &line,
                _ => panic!("the daemon did not serve: {text}"),
            }
        }
        // A daemon whose log nobody reads would block once the pipe is full.
        std::thread::spawn(move || log.for_each(drop));
        Daemon {
            process,
            mountpoint,
        }
    }

    /// Returns the pid of the process that serves, the child of the keeper.
    pub(crate) fn pid(&self) -> u32 {
        let process = self.process.id();
        children(process).first().copied().unwrap_or(process)
    }

    /// Kills the daemon and its keeper. Stops the keeper first, so that it starts no successor.
    pub(crate) fn kill(&mut self) {
        let daemons = children(self.process.id());
        stop(self.process.id());
        for pid in daemons {
            kill("KILL", pid);
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts lxcfs on a new mount point, and waits until it serves.
    pub(crate) fn lxcfs() -> Daemon {
        let mountpoint = std::env::temp_dir().join(unique("lxcfs"));
        fs::create_dir(&mountpoint).unwrap();
        Daemon::lxcfs_on(mountpoint)
    }

    /// Starts lxcfs on that mount point with all that it offers, and waits until it serves.
    pub(crate) fn lxcfs_on(mountpoint: PathBuf) -> Daemon {
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

    /// Returns the path of a file of the mount, by its path there.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.mountpoint.join(file)
    }

    /// Signals the keeper, which ends with its daemon on TERM.
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, self.process.id());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // The daemon would replace a killed keeper.
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
