//! Namespaces and a cgroup for a bench, which leave nothing behind.
//!
//! The bench runs as the init of a pid namespace, in a mount namespace: at any end the kernel kills every process
//! of the namespace and drops every mount. The process outside waits, turns an interrupt into a kill, and
//! removes the cgroups.

use super::harness::{self, Cgroup};
use anyhow::{Context, ensure};
use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{OFlag, openat},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        signal::{Signal, kill},
        stat::Mode,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, UnlinkatFlags, geteuid, setsid, unlinkat},
};
use plimsoll::base::sys::process::{Lifeline, forked, reset_signals};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    time::Duration,
};
use tempfile::TempDir;

/// The directory and the cgroup of a bench.
pub(crate) struct World {
    /// An empty directory.
    pub(crate) directory: TempDir,
    /// A cgroup without limits, for child cgroups.
    pub(crate) cgroup: Cgroup,
}

/// Runs `bench` in a world of its own and returns the exit status of the program.
pub(crate) fn enclosed(bench: impl FnOnce(&World) -> anyhow::Result<()>) -> ExitCode {
    match attempt(bench) {
        Ok(status) => ExitCode::from(status),
        Err(error) => failed(&error),
    }
}

/// Prints the reason of a failed bench and returns its exit status.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench: {error:#}");
    ExitCode::FAILURE
}

fn attempt(bench: impl FnOnce(&World) -> anyhow::Result<()>) -> anyhow::Result<u8> {
    ensure!(geteuid().is_root(), "needs root");
    ensure!(Path::new("/dev/fuse").exists(), "needs /dev/fuse");
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD])?;
    let world = World {
        directory: tempfile::Builder::new()
            .prefix("plimsoll-bench-")
            .tempdir()?,
        cgroup: Cgroup::new(),
    };
    let lifeline = Lifeline::of_this_process()?;
    unshare(CloneFlags::CLONE_NEWPID).context("cannot create a pid namespace")?;
    let inside = forked(|| {
        let bench = || enter(&lifeline).and_then(|()| bench(&world));
        match catch_unwind(AssertUnwindSafe(bench)) {
            Ok(Ok(())) => 0,
            Ok(Err(error)) => {
                eprintln!("bench: {error:#}");
                1
            }
            Err(_) => 101,
        }
    })?;
    let status = outcome(inside, &mut signals)?;
    for root in harness::roots() {
        let path = world.cgroup.path();
        remove_below(&root.join(path.strip_prefix("/")?));
    }
    Ok(status)
}

fn enter(lifeline: &Lifeline) -> anyhow::Result<()> {
    reset_signals()?;
    // An interrupt from the terminal is for the process outside.
    setsid()?;
    lifeline.bind()?;
    enter_mounts()
}

/// Moves the calling process, which is in a new pid namespace, to a new mount namespace whose /proc shows the
/// processes of the pid namespace.
pub(crate) fn enter_mounts() -> anyhow::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).context("cannot create a mount namespace")?;
    mount(
        none,
        "/",
        none,
        MsFlags::MS_REC.union(MsFlags::MS_PRIVATE),
        none,
    )?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none).context("cannot mount /proc")
}

fn outcome(inside: Pid, signals: &mut Signals) -> anyhow::Result<u8> {
    for signal in signals.forever() {
        if signal != SIGCHLD {
            kill(inside, Signal::SIGKILL)?;
            waitpid(inside, None)?;
            eprintln!("bench: interrupted");
            return Ok(130);
        }
        match waitpid(inside, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::Exited(_, status) => return Ok(u8::try_from(status)?),
            WaitStatus::Signaled(_, signal, _) => anyhow::bail!("killed by {signal}"),
            _ => {}
        }
    }
    anyhow::bail!("no more signals")
}

/// Removes the cgroups below one, however deep they are: a path may be longer than the kernel takes.
pub(crate) fn remove_below(cgroup: &Path) {
    let Ok(mut directory) = fs::File::open(cgroup).map(OwnedFd::from) else {
        return;
    };
    let mut above = Vec::new();
    loop {
        let inhabited = remove_leaves(directory.as_fd());
        let next = match (inhabited, above.pop()) {
            (Some(name), before) => {
                above.extend(before);
                let next = descend(directory.as_fd(), &name);
                above.push(name);
                next
            }
            (None, Some(name)) => descend(directory.as_fd(), "..")
                .and_then(|parent| remove_at(parent.as_fd(), &name).map(|()| parent)),
            (None, None) => return,
        };
        match next {
            Ok(next) => directory = next,
            Err(_) => return,
        }
    }
}

/// Removes the cgroups in a directory that have none below, and returns the name of one that has.
fn remove_leaves(directory: BorrowedFd<'_>) -> Option<String> {
    let mut list = Dir::from_fd(descend(directory, ".").ok()?).ok()?;
    let entries = list.iter().flatten();
    let cgroups = entries.filter(|entry| entry.file_type() == Some(Type::Directory));
    let names = cgroups.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    let mut names = names.filter(|name| name != "." && name != "..");
    names.find(|name| {
        let flag = UnlinkatFlags::RemoveDir;
        unlinkat(directory, name.as_str(), flag) == Err(Errno::EBUSY)
    })
}

/// Removes a cgroup. A process that has just ended may still be counted for a moment.
fn remove_at(parent: BorrowedFd<'_>, name: &str) -> nix::Result<()> {
    let mut tries = 100;
    loop {
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Err(Errno::EBUSY) if tries > 0 => std::thread::sleep(Duration::from_millis(20)),
            removed => return removed,
        }
        tries -= 1;
    }
}

/// Opens a directory in a directory.
pub(crate) fn descend(directory: BorrowedFd<'_>, name: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}
