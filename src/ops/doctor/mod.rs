//! What is well on this machine and what is not, each with its fix.
//!
//! Each subject reads its facts below a root directory, which is `/` or a captured machine, and
//! judges them apart from that. What no file tells (does the daemon answer, how old is an engine,
//! whose mounts are dead) is asked only on the machine itself, and nothing is waited for long.

mod cgroups;
mod containers;
mod engines;
mod finding;
mod fuse;
mod kernel;
mod limits;
mod lxcfs;
mod probe;
mod service;
mod settings;

use crate::base::{
    config::{self, ConfigError},
    mountinfo,
    sys::chain,
};
use anyhow::{Context, Result};
pub use finding::{Finding, Level};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Looks at everything there is to look at on the machine whose root directory is `root`, and at the
/// daemon that serves `mountpoint`, or where the file `configuration` there says, in the order in which
/// one thing needs the other.
///
/// # Errors
/// When `proc/self/mountinfo` cannot be read there: nothing could be told.
pub fn examine(
    root: &Path,
    mountpoint: Option<PathBuf>,
    configuration: &Path,
) -> Result<Vec<Finding>> {
    let is_here = root == Path::new("/");
    let mountinfo = root.join("proc/self/mountinfo");
    let mounts = mountinfo::at(&mountinfo)
        .with_context(|| format!("cannot read {}", mountinfo.display()))?;

    let configured = root.join(configuration.strip_prefix("/").unwrap_or(configuration));
    let configured = config::read(&configured);
    let mistaken = configured.as_ref().err().map(mistaken);
    let configured = configured.unwrap_or_default().mountpoint;
    let is_configured = mountpoint.as_ref().is_none_or(|point| *point == configured);
    let mountpoint = &mountpoint.unwrap_or(configured);

    let mut found: Vec<Finding> = mistaken.into_iter().collect();
    found.extend(kernel::find(&kernel::read(root)));
    found.extend(fuse::find(&fuse::read(root)));
    found.extend(cgroups::find(&cgroups::read(root, &mounts)));
    found.extend(settings::find(&settings::read(root)));
    let daemon = service::read(root, mountpoint, is_configured, &mounts, is_here);
    found.extend(service::find(&daemon));
    if is_here {
        found.extend(containers::find(mountpoint, daemon.is_well()));
    }
    for engine in engines::read(root, &mounts, is_here) {
        found.push(engines::find(&engine));
    }
    found.extend(lxcfs::find(&lxcfs::read(root, &mounts)));
    found.extend(limits::find(&limits::read(root, &mounts)));
    Ok(found)
}

/// What the daemon would not start with, and the hook would leave aside.
fn mistaken(error: &ConfigError) -> Finding {
    Finding::new(Level::Error, "config", chain(error)).fix("fix that file")
}

/// The text of a file below `root`, without white space around it; `None` where there is none.
fn text(root: &Path, path: &str) -> Option<String> {
    let text = fs::read_to_string(root.join(path)).ok()?;
    Some(text.trim().to_owned())
}

/// Whether there is something at that path below `root`.
fn is_there(root: &Path, path: &str) -> bool {
    root.join(path).symlink_metadata().is_ok()
}
