//! What this machine must have for a container, looked at before anything is made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

use crate::run::{
    error::{RunError, at},
    options::request::{Request, Root},
    process::console,
    tree::View,
};

/// CAP_SYS_ADMIN (`include/uapi/linux/capability.h`).
const SYS_ADMIN: u32 = 21;

/// Checks the machine, and makes every path of the request absolute.
///
/// # Errors
///
/// At the first thing that is missing.
pub(crate) fn machine(mut request: Request) -> Result<Request, RunError> {
    if !geteuid().is_root() {
        return Err(RunError::NotRoot);
    }
    if !able_to_mount() {
        return Err(RunError::NotAbleToMount);
    }
    for volume in &mut request.volumes {
        if let Some(source) = &mut volume.source {
            *source = match fs::canonicalize(&*source) {
                Ok(real) => real,
                Err(_) => return Err(RunError::NoVolume(source.clone())),
            };
        }
    }
    request.root = match request.root {
        Root::Host => Root::Host,
        Root::Directory(directory) => Root::Directory(root(&directory)?),
        Root::Layers(layers) => {
            let layers: Result<_, _> = layers.iter().map(|layer| root(layer)).collect();
            Root::Layers(layers?)
        }
    };
    if request.terminal && request.interactive && !console::is_terminal() {
        return Err(RunError::NoTerminal);
    }
    // The host's daemon has its own.
    if View::of_host(&request.view).is_none() {
        let fuse = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse");
        fuse.map_err(RunError::NoFuse)?;
    }
    Ok(request)
}

fn root(path: &Path) -> Result<PathBuf, RunError> {
    let Ok(real) = fs::canonicalize(path) else {
        return Err(RunError::NoRoot(path.to_owned()));
    };
    if !real.is_dir() {
        return Err(RunError::RootIsFile(path.to_owned()));
    }
    // Read once, so that what cannot be read is said here.
    fs::read_dir(&real).map_err(at("read the root", path))?;
    Ok(real)
}

/// Root in a container usually is not.
fn able_to_mount() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    effective.is_some_and(|set| set >> SYS_ADMIN & 1 == 1)
}
