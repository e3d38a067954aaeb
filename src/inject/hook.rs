//! The OCI hook: binds a container's own files over the kernel's before it starts.
//!
//! A runtime calls it at stage `createRuntime`, from outside, when the container has its mounts and
//! is in its cgroup, but has not run yet; or at stage `createContainer`, inside the container's
//! namespaces and cgroup, before the root changes, so the host's paths still lead to the view, and
//! `containers/self` there to the container's own directory. It relies on as little of its
//! surroundings as it can: some runtimes hand it the container's environment, and its working
//! directory differs from one to the next.
//!
//! LXC's hook `lxc.hook.mount` is called inside too, and told where by LXC itself.

use super::{
    attach::{self, Execution},
    deliver::{Delivery, MountPlan, deliver},
    namespace::{self, MountNamespace},
    subprocess,
    target::{self, ContainerRoot},
    tree::{ContainerTree, TreeOwner},
};
use crate::{
    base::{mountinfo, sys::chain, units::Pid},
    facts::container,
};
use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};
use std::{
    env,
    fs::{self, File},
    io::{self, BufReader, ErrorKind::PermissionDenied, Read},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

/// So large is a configuration at most; the largest of an engine have a few hundred kB.
const LARGEST: u64 = 64 << 20;

/// Where a container is that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Around this process, in that directory.
    Inside(PathBuf),
    /// Around another process.
    Outside {
        /// It, by its number in this process's pid namespace.
        pid: Pid,
        /// The directory that will be its root, as it is there.
        root: PathBuf,
    },
}

impl Stage {
    /// Returns the process around which the container is; `None` for this process.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Stage::Inside(_) => None,
            Stage::Outside { pid, .. } => Some(*pid),
        }
    }
}

/// Why a container cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Standard input does not hold an OCI state.
    #[error("cannot read the container's state on standard input")]
    State(#[source] serde_json::Error),
    /// A file or directory cannot be opened.
    #[error("cannot open {}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bundle's configuration is no configuration.
    #[error("cannot understand {}", path.display())]
    Garbled {
        /// The configuration.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The bundle's configuration is larger than any.
    #[error("{} is larger than {} MB", path.display(), LARGEST >> 20)]
    Huge {
        /// The configuration.
        path: PathBuf,
    },
    /// The bundle's configuration names no root.
    #[error("{} names no root", path.display())]
    NoRoot {
        /// The configuration.
        path: PathBuf,
    },
}

/// The part of an OCI state that a hook needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct OciState {
    /// The container's name, as its engine has it.
    pub id: String,
    /// The directory of its configuration.
    pub bundle: PathBuf,
    /// Its first process; in the container's own numbers, or 0, at the stages that run inside.
    #[serde(default)]
    pid: Option<i64>,
    /// The directory that will be its root, which crun says beside.
    #[serde(default)]
    root: Option<PathBuf>,
}

impl OciState {
    /// The state that a runtime hands over.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(from: impl Read) -> Result<OciState, HookError> {
        serde_json::from_reader(from.take(LARGEST)).map_err(HookError::State)
    }

    /// Where the container is.
    ///
    /// # Errors
    /// When its configuration does not say where its root is.
    pub fn stage(&self) -> Result<Stage, HookError> {
        let root = self.root()?;
        Ok(match self.elsewhere() {
            Some(pid) => Stage::Outside { pid, root },
            None => Stage::Inside(root),
        })
    }

    /// The container's first process, if this one is outside of the container, and the pid thus one
    /// that it can use: inside, a runtime may say the container's own number, and there is still the
    /// host's `/proc`.
    fn elsewhere(&self) -> Option<Pid> {
        let pid = self.pid.and_then(|pid| u32::try_from(pid).ok()).map(Pid)?;
        let own = fs::read_link("/proc/self").ok()?;
        let is_own = own == Path::new(&process::id().to_string());
        (pid != Pid(0) && is_own && namespace::is_elsewhere(pid)).then_some(pid)
    }

    fn root(&self) -> Result<PathBuf, HookError> {
        match root(&self.bundle) {
            Err(HookError::Refused { source, path }) if source.kind() == PermissionDenied => {
                // Podman keeps bundles where the root of a user namespace may not look.
                let found = self.root_beside();
                found.ok_or(HookError::Refused { source, path })
            }
            root => root,
        }
    }

    /// The root from what a runtime says without being asked to: crun names it, runc makes it the
    /// working directory. Nothing but the root of a mount is believed.
    fn root_beside(&self) -> Option<PathBuf> {
        let root = self.root.clone();
        let root = root.or_else(|| env::current_dir().ok())?;
        let mounts = mountinfo::own().ok()?;
        let is_mounted = mounts.iter().any(|mount| mount.point == root);
        (is_mounted && root != Path::new("/")).then_some(root)
    }
}

/// The part of an OCI configuration that a hook needs.
#[derive(serde::Deserialize)]
struct BundleConfiguration {
    root: Option<ConfiguredRoot>,
}

#[derive(serde::Deserialize)]
struct ConfiguredRoot {
    path: PathBuf,
}

/// Binds the files of `view`, a served tree, into the container that is being made there; if it is
/// limited, or in any case. `None` if nothing has come of it within that time.
///
/// The caller must have one thread only.
#[must_use]
pub fn bind(view: &Path, stage: &Stage, unlimited: bool, timeout: Duration) -> Option<Delivery> {
    subprocess::run(timeout, || match stage {
        Stage::Inside(root) => match opened(root) {
            Ok(root) => {
                let put = |tree: &ContainerTree<'_>| cover(tree, &root);
                deliver(view, TreeOwner::Caller, &root.mounts, unlimited, put)
            }
            Err(error) => Delivery::Failed(chain(&error)),
        },
        Stage::Outside { pid, root } => bind_there(view, *pid, root, unlimited),
    })
}

fn bind_there(view: &Path, pid: Pid, root: &Path, unlimited: bool) -> Delivery {
    let namespace = match MountNamespace::of_new_container(pid, root) {
        Ok(namespace) => namespace,
        Err(error) => return Delivery::Failed(chain(&error)),
    };
    let owner = match container::key_of_first(pid) {
        Ok(key) => TreeOwner::Container(key),
        Err(error) => return Delivery::Failed(chain(&error)),
    };
    let put = |tree: &ContainerTree<'_>| attach::put(tree, &namespace, Execution::Apply);
    deliver(view, owner, &namespace.here, unlimited, put)
}

fn cover(tree: &ContainerTree<'_>, root: &ContainerRoot) -> Delivery {
    MountPlan::of(tree, root).carry_out(|mount, target| target.cover(mount.fd.as_fd()))
}

/// The root of the container, from the bundle's configuration: not every runtime's state has it.
fn root(bundle: &Path) -> Result<PathBuf, HookError> {
    let path = bundle.join("config.json");
    let refused = |source| HookError::Refused {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(refused)?;
    if file.metadata().map_err(refused)?.len() > LARGEST {
        return Err(HookError::Huge { path });
    }
    // However large it is, it is never in memory as a whole.
    let text = BufReader::new(file.take(LARGEST));
    let configuration: BundleConfiguration = match serde_json::from_reader(text) {
        Ok(configuration) => configuration,
        Err(source) => return Err(HookError::Garbled { path, source }),
    };
    let root = configuration.root.ok_or(HookError::NoRoot { path })?;
    Ok(bundle.join(root.path))
}

fn opened(path: &Path) -> Result<ContainerRoot, HookError> {
    let refused = |path: &Path, source| HookError::Refused {
        path: path.to_owned(),
        source,
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory =
        open(path, flags, Mode::empty()).map_err(|error| refused(path, error.into()))?;
    let mounts =
        mountinfo::own().map_err(|error| refused(Path::new("/proc/self/mountinfo"), error))?;
    let path = target::name(&directory).map_err(|error| refused(path, error))?;
    let outside = mounts
        .iter()
        .filter(|mount| !mount.point.starts_with(&path));
    let shared = outside.filter_map(|mount| mount.peers).collect();
    Ok(ContainerRoot {
        directory,
        path,
        mounts,
        shared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn bundle(configuration: &str) -> tempfile::TempDir {
        let bundle = tempfile::tempdir().unwrap();
        fs::write(bundle.path().join("config.json"), configuration).unwrap();
        bundle
    }

    #[test]
    fn a_root_is_found_relative_to_its_bundle_or_anywhere() {
        let relative = bundle(r#"{"root": {"path": "rootfs"}, "mounts": []}"#);
        let expected = relative.path().join("rootfs");
        assert_eq!(root(relative.path()).unwrap(), expected);
        let elsewhere = bundle(r#"{"root": {"path": "/merged", "readonly": true}}"#);
        assert_eq!(root(elsewhere.path()).unwrap(), Path::new("/merged"));
    }

    #[test]
    fn a_configuration_that_is_none_is_refused_in_one_line() {
        for (text, said) in [
            ("{}", "names no root"),
            ("[", "cannot understand"),
            (&"[".repeat(100_000), "cannot understand"),
        ] {
            let error = root(bundle(text).path()).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_configuration_larger_than_any_is_not_read_to_its_end() {
        let huge = bundle("{}");
        let file = File::options()
            .write(true)
            .open(huge.path().join("config.json"));
        file.unwrap().set_len(LARGEST * 1000).unwrap();
        let error = root(huge.path()).unwrap_err().to_string();
        assert!(error.ends_with("is larger than 64 MB"), "{error}");
    }

    #[test]
    fn a_state_of_either_runtime_is_read() {
        let state = r#"{"ociVersion":"1.0.2","id":"box","status":"creating","pid":1,"bundle":"/b","annotations":{"x":"y"}}"#;
        let state = OciState::read(state.as_bytes()).unwrap();
        assert_eq!(
            (state.id.as_str(), state.bundle.as_path()),
            ("box", Path::new("/b"))
        );
        let said = OciState::read(&b"nonsense"[..]).unwrap_err().to_string();
        assert_eq!(said, "cannot read the container's state on standard input");
    }
}
