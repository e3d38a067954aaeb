//! A daemon of the program under test, or lxcfs, on a mount point of its own.

use super::{children, kill, plimsoll, unique, wait_until};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

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
