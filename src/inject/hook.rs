//! The OCI hook of stage `createContainer`: binds a container's own files over the kernel's.
//!
//! The runtime calls it inside the container's namespaces and cgroup, before the root changes, so
//! the host's paths still lead to the view, and `containers/self` there to the container's own
//! directory. It relies on nothing of its surroundings: some runtimes hand it the container's
//! environment, and its working directory differs from one to the next.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2},
    sys::{
        stat::Mode,
        statfs::{PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs},
    },
};
use oci_spec::runtime::Spec;

use super::{Below, Bind, binds};
use crate::sys::mount::{self, Forbid, Reach};

/// Why a container did not get its files.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Standard input does not hold an OCI state.
    #[error("cannot read the container's state on standard input")]
    State(#[source] serde_json::Error),
    /// The bundle's configuration cannot be read.
    #[error("cannot read {path}")]
    Configuration {
        /// The configuration.
        path: PathBuf,
        /// Why.
        source: Box<oci_spec::OciSpecError>,
    },
    /// The bundle's configuration names no root.
    #[error("{0} names no root")]
    NoRoot(PathBuf),
    /// A file or directory cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What lies at the target is not the kernel's own file.
    #[error("{0} in the container is not the kernel's own file")]
    Foreign(PathBuf),
    /// The file cannot be mounted.
    #[error("cannot put the view's file over {path}")]
    Attach {
        /// The covered file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The part of an OCI state that a hook needs.
#[derive(serde::Deserialize)]
struct State {
    bundle: PathBuf,
}

/// Binds the files of `view`, a served tree, into the container whose OCI state `state` holds.
///
/// What the container's kernel or its view does not have is left out.
///
/// # Errors
///
/// At the first file that cannot be bound: the container must not start with a part of its view.
pub fn deliver(view: &Path, state: impl io::Read) -> Result<(), HookError> {
    let state: State = serde_json::from_reader(state).map_err(HookError::State)?;
    let root = directory(&root(&state.bundle)?)?;
    let own = view.join("containers/self");
    let own = (directory(&own)?, own);
    for bind in binds() {
        cover(&own, &root, bind)?;
    }
    Ok(())
}

/// The root of the container, from the bundle's configuration: not every runtime's state has it.
fn root(bundle: &Path) -> Result<PathBuf, HookError> {
    let path = bundle.join("config.json");
    let spec = match Spec::load(&path) {
        Ok(spec) => spec,
        Err(source) => {
            let source = Box::new(source);
            return Err(HookError::Configuration { path, source });
        }
    };
    let root = spec.root().as_ref().ok_or(HookError::NoRoot(path))?;
    Ok(bundle.join(root.path()))
}

fn directory(path: &Path) -> Result<OwnedFd, HookError> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|source| HookError::Open {
        path: path.to_owned(),
        source: source.into(),
    })
}

fn cover((own, at): &(OwnedFd, PathBuf), root: &OwnedFd, bind: Bind) -> Result<(), HookError> {
    let shown = Path::new("/").join(bind.path);
    // The root may hold anything, so no symbolic link is followed on the way to the target.
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let target = match openat2(root, bind.path, how) {
        Ok(target) => target,
        Err(Errno::ENOENT) => return Ok(()),
        Err(source) => {
            return Err(HookError::Open {
                path: shown,
                source: source.into(),
            });
        }
    };
    let expected = match bind.below {
        Below::Proc => PROC_SUPER_MAGIC,
        Below::Sys => SYSFS_MAGIC,
    };
    if fstatfs(&target).map(|fs| fs.filesystem_type()) != Ok(expected) {
        return Err(HookError::Foreign(shown));
    }
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let source = match openat(own, bind.path, flags, Mode::empty()) {
        Ok(source) => source,
        Err(Errno::ENOENT) => return Ok(()),
        Err(source) => {
            return Err(HookError::Open {
                path: at.join(bind.path),
                source: source.into(),
            });
        }
    };
    let forbidden = Forbid {
        writes: !bind.is_written,
        ..Forbid::default()
    };
    mount::copied(source.as_fd(), Reach::Alone)
        .and_then(|tree| {
            mount::forbid(tree.as_fd(), forbidden, Reach::Alone)?;
            mount::attach(tree.as_fd(), target.as_fd())
        })
        .map_err(|source| HookError::Attach {
            path: shown,
            source: source.into(),
        })
}
