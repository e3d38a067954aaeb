//! The OCI hook: binds a container's own files over the kernel's before it starts.
//!
//! A runtime calls it at stage `createRuntime`, from outside, when the container has its mounts and
//! is in its cgroup, but has not run yet; or at stage `createContainer`, inside the container's
//! namespaces and cgroup, before the root changes, so the host's paths still lead to the view, and
//! `containers/self` there to the container's own directory. The hook relies on as little of its
//! surroundings as it can: some runtimes hand it the container's environment, and the working
//! directory differs from runtime to runtime.
//!
//! LXC calls its hook `lxc.hook.mount` inside too, and names the root in the environment.

use super::{
    attach::{self, Execution},
    deliver::{Delivery, MountPlan, deliver},
    leave_out::{HostParts, LeaveOutRules},
    namespace::{self, MountNamespace},
    subprocess,
    target::{self, ContainerRoot},
    tree::{ContainerTree, TreeOwner},
    uncovered::UncoveredPlan,
};
use crate::{
    base::{
        mountinfo,
        sys::chain,
        tolerant::{self, Tolerant},
        units::Pid,
    },
    facts::{
        container,
        engines::{Annotations, ContainerConfiguration, NewContainer},
    },
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
    sync::Arc,
    time::Duration,
};

/// The maximum size of a configuration, in bytes; the largest that engines write have a few hundred kB.
const MAX_CONFIGURATION: u64 = 64 << 20;

/// The place from which the hook reaches the container that a runtime makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// A hook in the container.
    Inside(NewRoot),
    /// A hook outside of the container.
    Outside {
        /// A process in the container, by its number in this process's pid namespace.
        pid: Pid,
        /// The container's root, as its mount namespace names it.
        root: NewRoot,
    },
}

/// The root of a container that a runtime makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoot {
    /// The directory that will be the root.
    pub path: PathBuf,
    /// The paths, as the container names them, that the runtime may cover after the hook: `/` where
    /// nobody knows.
    pub later: Vec<PathBuf>,
    /// The parts of the container that are the host's own.
    pub host_parts: HostParts,
}

impl Stage {
    /// Returns the process that is in the container; `None` for this process.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Stage::Inside(_) => None,
            Stage::Outside { pid, .. } => Some(*pid),
        }
    }
}

/// An error that keeps the hook from finding the container.
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
        /// The kernel's answer.
        source: io::Error,
    },
    /// The bundle's configuration is no JSON, or no OCI configuration.
    #[error("cannot understand {}", path.display())]
    Garbled {
        /// The configuration.
        path: PathBuf,
        /// The position and the kind of the mistake.
        source: serde_json::Error,
    },
    /// The bundle's configuration is larger than any that an engine writes.
    #[error("{} is larger than {} MB", path.display(), MAX_CONFIGURATION >> 20)]
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
    /// The directory with the container's configuration.
    pub bundle: PathBuf,
    /// The first process of the container; at the stages that run inside, by the container's own
    /// number or 0.
    #[serde(default)]
    pid: Tolerant<i64>,
    /// The directory that will be the container's root; only crun names it.
    #[serde(default)]
    root: Tolerant<PathBuf>,
    /// The status: `creating` or `created` at the stages of a new container.
    #[serde(default)]
    status: Tolerant<String>,
    /// The annotations of the container.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    annotations: Annotations,
}

impl OciState {
    /// Reads the state that a runtime hands over.
    ///
    /// # Errors
    /// When the bytes are no OCI state.
    pub fn read(from: impl Read) -> Result<OciState, HookError> {
        serde_json::from_reader(from.take(MAX_CONFIGURATION)).map_err(HookError::State)
    }

    /// Returns whether CRIU restores the container. runc calls the hook before CRIU makes the mounts of
    /// the container, among them those of the view. The status of such a container is `stopped`.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.status.0.as_deref() == Some("stopped")
    }

    /// Finds the place from which this process reaches the container; `None` if `rules` leave the
    /// container out of the view.
    ///
    /// # Errors
    /// When the bundle's configuration cannot be read or names no root.
    pub fn stage(&self, rules: &LeaveOutRules) -> Result<Option<Stage>, HookError> {
        let configuration = read_configuration(&self.bundle);
        let elsewhere = self.elsewhere();
        let container = NewContainer {
            id: &self.id,
            bundle: &self.bundle,
            pid: elsewhere,
        };
        let verdict = rules.of_new(container, configuration.as_ref().ok().cloned());
        // The state has the annotations also where the configuration may not be read.
        if verdict.left_out.is_some() || self.annotations.decline_view() {
            return Ok(None);
        }
        let root = self.root(configuration)?;
        let root = NewRoot {
            host_parts: verdict.host_parts,
            ..root
        };
        Ok(Some(match elsewhere {
            Some(pid) => Stage::Outside { pid, root },
            None => Stage::Inside(root),
        }))
    }

    /// Returns the container's first process, if this process is outside of the container and can use
    /// the pid: inside, a runtime may name the container's own number, while `/proc` is still the
    /// host's.
    fn elsewhere(&self) -> Option<Pid> {
        let pid = self
            .pid
            .0
            .and_then(|pid| u32::try_from(pid).ok())
            .map(Pid)?;
        let own = fs::read_link("/proc/self").ok()?;
        let is_own = own == Path::new(&process::id().to_string());
        (pid != Pid(0) && is_own && namespace::is_elsewhere(pid)).then_some(pid)
    }

    fn root(
        &self,
        configuration: Result<ContainerConfiguration, HookError>,
    ) -> Result<NewRoot, HookError> {
        match configuration.and_then(|configuration| root(&self.bundle, configuration)) {
            Err(HookError::Refused { source, path }) if source.kind() == PermissionDenied => {
                // Podman keeps bundles where the root of a user namespace may not look.
                let found = self.root_beside().map(|path| NewRoot {
                    path,
                    later: vec![PathBuf::from("/")],
                    host_parts: HostParts::default(),
                });
                found.ok_or(HookError::Refused { source, path })
            }
            root => root,
        }
    }

    /// Returns the root that a runtime shows without a rule to do so: crun names it in the state, runc
    /// makes it the working directory. The directory must be the root of a mount.
    fn root_beside(&self) -> Option<PathBuf> {
        let root = self.root.0.clone();
        let root = root.or_else(|| env::current_dir().ok())?;
        let mounts = mountinfo::own().ok()?;
        let is_mounted = mounts.iter().any(|mount| mount.point == root);
        (is_mounted && root != Path::new("/")).then_some(root)
    }
}

/// Binds the files of the view at `view` into the container that a runtime makes, if the container is
/// limited or `unlimited` is set. `None` if the work has not ended within `timeout`.
///
/// The caller must have one thread only.
#[must_use]
pub fn bind(view: &Path, stage: &Stage, unlimited: bool, timeout: Duration) -> Option<Delivery> {
    subprocess::run(timeout, || match stage {
        Stage::Inside(root) => match open_root(root) {
            Ok(root) => {
                let put = |tree: &ContainerTree<'_>| cover(tree, &root);
                deliver(view, TreeOwner::Caller, &root.mounts, unlimited, put)
            }
            Err(error) => Delivery::Failed(chain(&error)),
        },
        Stage::Outside { pid, root } => bind_there(view, *pid, root, unlimited),
    })
}

fn bind_there(view: &Path, pid: Pid, root: &NewRoot, unlimited: bool) -> Delivery {
    let namespace = MountNamespace::of_new_container(pid, &root.path, &root.later);
    let mut namespace = match namespace {
        Ok(namespace) => namespace,
        Err(error) => return Delivery::Failed(chain(&error)),
    };
    namespace.root.host_parts = root.host_parts.clone();
    let owner = match container::key_of_first(pid) {
        Ok(key) => TreeOwner::Container(key),
        Err(error) => return Delivery::Failed(chain(&error)),
    };
    let put = |tree: &ContainerTree<'_>| attach::put(tree, &namespace, Execution::Apply);
    deliver(view, owner, &namespace.here.served, unlimited, put)
}

fn cover(tree: &ContainerTree<'_>, root: &ContainerRoot) -> Delivery {
    MountPlan::of(tree, root).carry_out(
        |mount, target| target.cover(mount.fd.as_fd()),
        UncoveredPlan::mount,
    )
}

/// Reads the configuration of the container in a bundle.
fn read_configuration(bundle: &Path) -> Result<ContainerConfiguration, HookError> {
    let path = bundle.join("config.json");
    let refused = |source| HookError::Refused {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(refused)?;
    if file.metadata().map_err(refused)?.len() > MAX_CONFIGURATION {
        return Err(HookError::Huge { path });
    }
    // The parser reads a stream: the file is never in memory as a whole, however large it is.
    let text = BufReader::new(file.take(MAX_CONFIGURATION));
    serde_json::from_reader(text).map_err(|source| HookError::Garbled { path, source })
}

/// Returns the root of the container from the bundle's configuration: not every state names it.
fn root(bundle: &Path, configuration: ContainerConfiguration) -> Result<NewRoot, HookError> {
    let root = configuration.root.ok_or_else(|| HookError::NoRoot {
        path: bundle.join("config.json"),
    })?;
    let linux = configuration.linux.unwrap_or_default();
    Ok(NewRoot {
        path: bundle.join(root.path),
        later: [linux.masked_paths, linux.readonly_paths]
            .into_iter()
            .flatten()
            .flatten()
            .collect(),
        host_parts: HostParts::default(),
    })
}

/// Opens the root of the container around this process.
fn open_root(root: &NewRoot) -> Result<ContainerRoot, HookError> {
    let path = &root.path;
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
        shared: Arc::new(shared),
        later: root.later.clone(),
        host_parts: root.host_parts.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{config::LeaveOut, tolerant::ODD_VALUES};
    use std::fs;

    fn bundle(configuration: &str) -> tempfile::TempDir {
        let bundle = tempfile::tempdir().unwrap();
        fs::write(bundle.path().join("config.json"), configuration).unwrap();
        bundle
    }

    fn root(bundle: &Path) -> Result<NewRoot, HookError> {
        super::root(bundle, read_configuration(bundle)?)
    }

    #[test]
    fn a_root_is_found_relative_to_its_bundle_or_anywhere() {
        let relative = bundle(r#"{"root": {"path": "rootfs"}, "mounts": []}"#);
        let expected = relative.path().join("rootfs");
        assert_eq!(root(relative.path()).unwrap().path, expected);
        let elsewhere = bundle(r#"{"root": {"path": "/merged", "readonly": true}}"#);
        assert_eq!(root(elsewhere.path()).unwrap().path, Path::new("/merged"));
    }

    #[test]
    fn the_paths_that_a_runtime_covers_after_the_hook_are_its_masked_and_read_only_ones() {
        let text = r#"{"root": {"path": "/"}, "linux": {"maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]}}"#;
        let later = root(bundle(text).path()).unwrap().later;
        assert_eq!(later, ["/proc/kcore", "/proc/sys"].map(PathBuf::from));
        let text = r#"{"root": {"path": "/"}, "linux": {"maskedPaths": null}}"#;
        assert!(root(bundle(text).path()).unwrap().later.is_empty());
    }

    #[test]
    fn an_odd_value_in_a_configuration_costs_only_itself() {
        for odd in ODD_VALUES {
            let text = format!(
                r#"{{"ociVersion":{odd},"root":{{"path":"/r","readonly":{odd}}},"mounts":{odd},"linux":{{"seccomp":{odd},"maskedPaths":["/a",{odd},"/b"],"readonlyPaths":{odd}}}}}"#
            );
            let found = root(bundle(&text).path()).unwrap();
            assert_eq!(found.path, Path::new("/r"), "{odd}");
            assert_eq!(found.later, ["/a", "/b"].map(PathBuf::from), "{odd}");
            let text = format!(r#"{{"root":{{"path":"/r"}},"linux":{odd}}}"#);
            assert_eq!(root(bundle(&text).path()).unwrap().path, Path::new("/r"));
            let text = format!(r#"{{"root":{odd}}}"#);
            let error = root(bundle(&text).path()).unwrap_err();
            assert!(matches!(error, HookError::NoRoot { .. }), "{error}");
        }
    }

    #[test]
    fn an_odd_value_in_a_state_costs_only_itself() {
        for odd in ODD_VALUES {
            let text = format!(
                r#"{{"ociVersion":{odd},"id":"box","bundle":"/b","pid":{odd},"root":{odd},"annotations":{{"x":{odd},"plimsoll.io/view":"false"}},"status":{odd}}}"#
            );
            let state = OciState::read(text.as_bytes()).unwrap();
            assert_eq!(state.id, "box");
            assert!(
                state.annotations.decline_view() && !state.is_restored(),
                "{odd}"
            );
            let text =
                format!(r#"{{"id":"box","bundle":"/b","status":"stopped","annotations":{odd}}}"#);
            let state = OciState::read(text.as_bytes()).unwrap();
            assert!(
                state.is_restored() && !state.annotations.decline_view(),
                "{odd}"
            );
        }
    }

    #[test]
    fn a_state_or_configuration_that_ends_too_early_is_refused_in_one_line() {
        let whole = r#"{"id":"box","bundle":"/b","root":{"path":"/r"},"pid":1}"#;
        for end in 0..whole.len() {
            let text = &whole[..end];
            let of_state = OciState::read(text.as_bytes()).unwrap_err();
            let of_bundle = root(bundle(text).path()).unwrap_err();
            for error in [of_state, of_bundle] {
                assert!(!chain(&error).contains('\n'), "{error}");
            }
        }
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
        file.unwrap().set_len(MAX_CONFIGURATION * 1000).unwrap();
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
        assert!(!state.is_restored());
        let restored = &br#"{"id":"box","status":"stopped","pid":1,"bundle":"/b"}"#[..];
        assert!(OciState::read(restored).unwrap().is_restored());
        let said = OciState::read(&b"nonsense"[..]).unwrap_err().to_string();
        assert_eq!(said, "cannot read the container's state on standard input");
    }

    #[test]
    fn a_container_that_declines_the_view_has_no_stage_even_if_its_bundle_cannot_be_read() {
        let rules = LeaveOutRules::new(LeaveOut::default());
        for (annotations, declines) in [
            (r#"{"plimsoll.io/view":"false"}"#, true),
            (r#"{"plimsoll.io/view":"true"}"#, false),
            ("null", false),
        ] {
            let state = format!(r#"{{"id":"x","bundle":"/nowhere","annotations":{annotations}}}"#);
            let stage = OciState::read(state.as_bytes()).unwrap().stage(&rules);
            assert_eq!(matches!(stage, Ok(None)), declines, "{annotations}");
        }
    }

    #[test]
    fn a_container_that_the_configuration_leaves_out_has_no_stage() {
        let text = r#"{"root": {"path": "/r"}, "annotations": {"io.kubernetes.cri.image-name": "gcr.io/cadvisor/cadvisor:v1"}}"#;
        let bundle = bundle(text);
        let state = format!(r#"{{"id":"x","bundle":{:?}}}"#, bundle.path());
        let state = OciState::read(state.as_bytes()).unwrap();
        for (pattern, is_left_out) in [("*/cadvisor", true), ("*/nginx", false)] {
            let settings = LeaveOut {
                images: vec![glob::Pattern::new(pattern).unwrap()],
                ..LeaveOut::default()
            };
            let stage = state.stage(&LeaveOutRules::new(settings)).unwrap();
            assert_eq!(stage.is_none(), is_left_out, "{pattern}");
        }
    }
}
