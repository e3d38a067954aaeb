//! Containers that want files mounted in a wrong place, or that make the mounter wait.

mod races;
mod stalls;

use crate::{harness::oci::configured, harness::plimsoll};
use nix::{
    fcntl::OFlag,
    mount::{MntFlags, MsFlags, mount, umount2},
    poll::{PollFd, PollFlags, poll},
};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The maximum time that a container can delay the hook or `attach`, also in an emulated machine.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(20);

/// A thread that repeats its work until dropped.
pub(super) struct Repeating {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Repeating {
    /// Starts the thread. `work` returns false to end it.
    pub(super) fn spawn(mut work: impl FnMut() -> bool + Send + 'static) -> Repeating {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || while !ends.load(Ordering::Relaxed) && work() {});
        Repeating {
            is_over,
            thread: Some(thread),
        }
    }
}

impl Drop for Repeating {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

/// The daemon of a FUSE connection that answers FUSE_INIT, takes every other request, and never answers.
pub(crate) struct Silent {
    device: File,
    _takes: Repeating,
}

impl Silent {
    pub(crate) fn new() -> Silent {
        let mut options = File::options();
        options.read(true).write(true);
        options.custom_flags(OFlag::O_NONBLOCK.bits());
        let device = options.open("/dev/fuse").unwrap();
        let mut taken = device.try_clone().unwrap();
        let takes = Repeating::spawn(move || {
            let mut fds = [PollFd::new(taken.as_fd(), PollFlags::POLLIN)];
            // A device without a mount is never ready.
            if poll(&mut fds, 20u16) == Ok(0) {
                return true;
            }
            let mut request = vec![0; 1 << 20];
            match taken.read(&mut request) {
                Ok(length) if request[4..8] == 26u32.to_ne_bytes() && length > 40 => {
                    taken.write_all(&initialized(&request)).unwrap();
                }
                Ok(_) => {}
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
            true
        });
        Silent {
            device,
            _takes: takes,
        }
    }

    /// Returns the options that mount the connection, for a process whose standard input is the device.
    pub(crate) fn options(mode: &str) -> String {
        format!("fd=0,rootmode={mode},user_id=0,group_id=0,allow_other")
    }

    pub(crate) fn stdin(&self) -> Stdio {
        self.device.try_clone().unwrap().into()
    }
}

/// Returns the answer to FUSE_INIT (`include/uapi/linux/fuse.h`), of version 7.31 with no features.
pub(super) fn initialized(request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    answer.extend(80u32.to_ne_bytes());
    answer.extend(0i32.to_ne_bytes());
    answer.extend(&request[8..16]);
    for word in [7u32, 31, 4096, 0, 0, 4096, 1] {
        answer.extend(word.to_ne_bytes());
    }
    answer.resize(80, 0);
    answer
}

/// Makes a bundle by hand: a root with an empty /proc, and the state that a runtime gives to its hooks.
pub(super) fn bundle() -> tempfile::TempDir {
    let bundle = tempfile::tempdir().unwrap();
    let path = bundle.path();
    fs::create_dir_all(path.join("rootfs/proc")).unwrap();
    fs::create_dir_all(path.join("rootfs/sys")).unwrap();
    let config = json!({"root": {"path": "rootfs"}}).to_string();
    fs::write(path.join("config.json"), config).unwrap();
    let state = json!({"ociVersion": "1.0.2", "id": "box", "pid": 0, "bundle": path});
    fs::write(path.join("state.json"), state.to_string()).unwrap();
    bundle
}

/// Runs `attach` or `detach` on the container of a process.
pub(super) fn act(action: &[&str], pid: u32) -> Output {
    // An emulated machine is slow.
    let (_directory, config) = configured("hook-timeout = \"1m\"");
    let mut command = plimsoll();
    command.args(action).args(["--config", &config]);
    command.args(["--pid", &pid.to_string()]).output().unwrap()
}

/// A shared mount: its mounts show to every process that has a copy of it, and to the host.
pub(crate) struct Shared {
    directory: tempfile::TempDir,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        let directory = tempfile::tempdir().unwrap();
        let (path, none) = (directory.path(), None::<&str>);
        mount(Some("x"), path, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        mount(none, path, none, MsFlags::MS_SHARED, none).unwrap();
        fs::create_dir(path.join("p")).unwrap();
        Shared { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        while umount2(self.path(), MntFlags::MNT_DETACH).is_ok() {}
    }
}

/// Counts the files of a view that a process has at matching mount points.
pub(crate) fn count_mounts(process: &str, view: &Path, matches: impl Fn(&Path) -> bool) -> usize {
    let source = plimsoll::base::paths::mount_source(view);
    let mountinfo = format!("/proc/{process}/mountinfo");
    let mounts = plimsoll::base::mountinfo::at(Path::new(&mountinfo)).unwrap();
    let is_match =
        |mount: &&plimsoll::base::mountinfo::Mount| mount.source == source && matches(&mount.point);
    mounts.iter().filter(is_match).count()
}
