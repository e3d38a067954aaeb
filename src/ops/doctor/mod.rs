//! Examines a machine: each finding is a fact about one subject, with its level and its fix.
//!
//! Each subject reads its facts (`read`) below a root directory, which is `/` or a captured machine,
//! and judges them apart from that (`find`). Facts that no file holds (the daemon's answer, the
//! version of an engine, dead mounts) are asked only on the machine itself, each with a timeout.

mod beside;
mod cgroups;
mod containers;
mod criu;
mod engines;
mod files;
mod finding;
mod fuse;
mod kernel;
mod limits;
mod lxcfs;
mod moved;
mod nested;
mod nri;
mod probe;
mod selinux;
mod service;
mod settings;

use crate::{
    base::{
        config::{self, Config, ConfigError},
        mountinfo::{self, Mount},
        sys::chain,
    },
    facts::{self, engines::RunningContainer},
    inject::{
        install::{self, CriuState},
        leave_out::LeaveOutRules,
    },
};
use anyhow::{Context, Result};
pub(super) use engines::set_up as set_up_of_engine;
pub use finding::{Finding, Level};
pub(super) use service::{
    DaemonState, ReadResult, RestartedBy, find as judge_daemon, read as read_daemon, read_served,
};
use std::path::{Path, PathBuf};

/// Examines the machine whose root directory is `root`, and the daemon at `mountpoint`, else at the
/// mount point that the file `configuration` of that machine names. A subject comes before those that
/// need it: the kernel first, the engines last.
///
/// # Errors
/// When `proc/self/mountinfo` cannot be read below `root`, on which every finding depends.
pub fn examine(
    root: &Path,
    mountpoint: Option<PathBuf>,
    configuration: &Path,
) -> Result<Vec<Finding>> {
    let is_here = root == Path::new("/");
    let mountinfo = root.join("proc/self/mountinfo");
    let mounts = mountinfo::at(&mountinfo)
        .with_context(|| format!("cannot read {}", mountinfo.display()))?;

    let configured = read_configuration(root, configuration);
    let mistake = configured.as_ref().err().map(mistake);
    let configured = configured.unwrap_or_default();
    let rules = LeaveOutRules::new(configured.leave_out);
    let (watchdog, configured) = (configured.watchdog, configured.mountpoint);
    let is_configured = mountpoint.as_ref().is_none_or(|point| *point == configured);
    let mountpoint = &mountpoint.unwrap_or(configured);

    let mut found: Vec<Finding> = mistake.into_iter().collect();
    found.extend(kernel::find(&kernel::read(root)));
    found.extend(fuse::find(&fuse::read(root), watchdog));
    found.extend(cgroups::find(&cgroups::read(root, &mounts)));
    found.extend(settings::find(&settings::read(root)));
    let daemon = service::read(root, mountpoint, is_configured, &mounts, is_here);
    found.extend(service::find(&daemon));
    found.extend(selinux::read(root, mountpoint, &mounts).map(selinux::find));
    // Where the containers cannot be listed, a finding of `containers` says so.
    let running = match is_here {
        true => facts::engines::all(root),
        false => Ok(Vec::new()),
    };
    if is_here {
        let living = daemon.is_serving().then_some(mountpoint.as_path());
        found.extend(containers::find(living, &running, &rules));
    }
    let running = running.unwrap_or_default();
    if is_here {
        found.extend(moved::find());
        found.extend(judged(&running, nested::judge));
        found.extend(beside::find(&running));
    }
    for engine in engines::read(root, &mounts, is_here) {
        found.extend(engines::find_all(engine, daemon.is_absent()));
    }
    if is_here {
        found.extend(nri::read());
    }
    let criu = install::criu_state(root, mountpoint);
    found.extend(criu::find(criu));
    if criu != CriuState::Absent {
        found.extend(judged(&running, criu::judge));
    }
    found.extend(lxcfs::find(&lxcfs::read(root, &mounts)));
    found.extend(limits::find(&limits::read(root, &mounts)));
    Ok(found)
}

/// Reads the configuration of the machine whose root directory is `root`. On this machine, the path may be
/// relative to the working directory.
fn read_configuration(root: &Path, path: &Path) -> Result<Config, ConfigError> {
    match root == Path::new("/") {
        true => config::read(path),
        false => config::read_if_there(&root.join(path.strip_prefix("/").unwrap_or(path))),
    }
}

/// Judges the mounts of each container. A container that has ended is left out.
fn judged(
    containers: &[RunningContainer],
    judge: impl Fn(&str, &[Mount]) -> Option<Finding>,
) -> Vec<Finding> {
    let found = containers.iter().filter_map(|container| {
        let mounts = mountinfo::of(container.pid).ok()?;
        judge(container.shown(), &mounts)
    });
    found.collect()
}

/// Returns the finding of a configuration with which the daemon does not start, and which the hook
/// ignores.
fn mistake(error: &ConfigError) -> Finding {
    let fix = match error {
        ConfigError::Missing { .. } => "name a file that exists",
        _ => "fix the file",
    };
    Finding::new(Level::Error, "config", chain(error)).fix(fix)
}
