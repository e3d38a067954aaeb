//! The checks of the machine and of the request's paths, before anything is created.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use crate::run::{
    error::{RunError, at},
    options::request::{Request, RootSource, TreeSource, VolumeSource},
    process::console,
    tree::ServedTree,
};

/// Checks what a container needs of the machine, and makes every path of the request absolute.
///
/// # Errors
///
/// The first need that the machine does not meet.
pub(crate) fn machine(mut request: Request) -> Result<Request, RunError> {
    if !geteuid().is_root() {
        return Err(RunError::NotRoot);
    }
    if !is_able_to_mount() {
        return Err(RunError::NotAbleToMount);
    }
    for volume in &mut request.volumes {
        if let VolumeSource::Host(source) = &mut volume.source {
            *source = match fs::canonicalize(&*source) {
                Ok(real) => real,
                Err(_) => return Err(RunError::NoVolume(source.clone())),
            };
        }
    }
    request.root = match request.root {
        RootSource::Host => RootSource::Host,
        RootSource::Directory(directory) => RootSource::Directory(check_root(&directory)?),
        RootSource::Layers(layers) => {
            let layers: Result<_, _> = layers.iter().map(|layer| check_root(layer)).collect();
            RootSource::Layers(layers?)
        }
    };
    if request.terminal && request.interactive && !console::is_terminal() {
        return Err(RunError::NoTerminal);
    }
    // Only an embedded daemon opens /dev/fuse.
    let needs_fuse = match request.tree {
        TreeSource::HostOrOwn => ServedTree::of_host(&request.mountpoint).is_none(),
        TreeSource::Own => true,
        TreeSource::None => false,
    };
    if needs_fuse {
        let fuse = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse");
        fuse.map_err(RunError::NoFuse)?;
    }
    Ok(request)
}

/// Returns the absolute path of a readable root or layer.
fn check_root(path: &Path) -> Result<PathBuf, RunError> {
    let Ok(real) = fs::canonicalize(path) else {
        return Err(RunError::NoRoot(path.to_owned()));
    };
    if !real.is_dir() {
        return Err(RunError::RootIsFile(path.to_owned()));
    }
    // A root that cannot be read is refused here, before anything is created.
    fs::read_dir(&real).map_err(at("read the root", path))?;
    Ok(real)
}

/// Returns the capabilities that a container can get: those of this process.
///
/// # Errors
///
/// The errors of `capget(2)`.
pub fn available_capabilities() -> io::Result<CapabilitySet> {
    // A capability without a name is newer than this program.
    let named = capabilities(None)?.permitted.iter_names();
    Ok(named.map(|(_, capability)| capability).collect())
}

/// Returns whether this process has CAP_SYS_ADMIN. Root in a container usually lacks it.
fn is_able_to_mount() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}
