//! The engines that `plimsoll install` sets up, and the files by which it does.

use std::path::{Path, PathBuf};

use super::{
    Alias, InstallError, TargetHost, alias, change, containerd, criu, service,
    setup_file::{self, SetUpFile},
    state,
};
use crate::{
    base::paths::LXCFS_MOUNTPOINT,
    facts::engines::{self, ADMINISTRATORS_HOOKS, Engine, EnginePackage, HookMethod},
};

/// A thing that `plimsoll install` sets up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installable {
    /// An engine that has hooks or runtimes of its own.
    Engine(Engine),
    /// The Container Device Interface, by a device: every engine that supports it.
    Cdi,
    /// CRIU, which dumps and restores the containers of every engine.
    Criu,
}

impl Installable {
    /// Returns every installable, in the order in which they are set up.
    #[must_use]
    pub fn all() -> Vec<Installable> {
        let engines = Engine::ALL.into_iter().filter(|engine| engine.has_hooks());
        let engines = engines.map(Installable::Engine);
        engines
            .chain([Installable::Cdi, Installable::Criu])
            .collect()
    }

    /// Returns the name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Installable::Engine(engine) => engine.name(),
            Installable::Cdi => "cdi",
            Installable::Criu => criu::PROGRAM,
        }
    }

    /// Returns the installable of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Installable> {
        let mut all = Installable::all().into_iter();
        all.find(|installable| installable.name() == name)
    }

    /// Returns whether `--all` includes the installable: a device is only for those who ask for it
    /// by name.
    #[must_use]
    pub fn is_one_of_all(self) -> bool {
        self != Installable::Cdi
    }

    /// Returns whether the engine is installed below that root. CDI needs no program.
    #[must_use]
    pub fn is_installed(self, root: &Path) -> bool {
        match self {
            Installable::Engine(engine) => engines::installed(engine, root).is_some(),
            Installable::Cdi => true,
            Installable::Criu => criu::is_installed(root),
        }
    }

    /// Returns the command that must follow a change before it counts; `None` if nothing must.
    #[must_use]
    pub fn follow_up(self) -> Option<&'static str> {
        match self {
            Installable::Engine(Engine::Docker) => Some("systemctl reload docker"),
            Installable::Engine(Engine::Containerd) => Some("systemctl restart containerd"),
            _ => None,
        }
    }

    /// Returns the sentence for the user about the containers that have the view after `install`.
    #[must_use]
    pub fn note(self) -> &'static str {
        match self {
            Installable::Engine(Engine::Docker) => {
                "containers made from now on have the view; plimsoll attach gives it to the others"
            }
            Installable::Engine(Engine::Containerd) => {
                "pods of a RuntimeClass with handler plimsoll have the view, all pods with the unit plimsoll-nri; so has ctr run --runc-binary"
            }
            Installable::Engine(_) => "containers started from now on have the view",
            Installable::Cdi => "containers with --device plimsoll.io/view=container have the view",
            Installable::Criu => "containers that have the view can be checkpointed and restored",
        }
    }

    /// Returns the sentence for the user about the view of containers after `uninstall`.
    #[must_use]
    pub fn farewell(self) -> &'static str {
        match self {
            Installable::Engine(Engine::Containerd) => {
                "new pods of a RuntimeClass with handler plimsoll do not start any more"
            }
            Installable::Criu => "containers that have the view cannot be checkpointed any more",
            _ => "containers that run keep the view",
        }
    }

    /// Returns the files that set the installable up on that machine, in the order in which they
    /// are written. There are none where nothing can be set up: the engine is not installed,
    /// serves no Kubernetes, or takes the files of lxcfs.
    ///
    /// # Errors
    /// When containerd's configuration cannot be read or is no configuration.
    pub(super) fn files(self, host: &TargetHost) -> Result<Vec<SetUpFile>, InstallError> {
        let engine = match self {
            Installable::Engine(engine) => engine,
            Installable::Cdi => return Ok(vec![SetUpFile::CdiDevice]),
            Installable::Criu => return Ok(vec![SetUpFile::Criu]),
        };
        let Some(installed) = engines::installed(engine, &host.root) else {
            return Ok(Vec::new());
        };
        let link = SetUpFile::RuntimeLink(host.runtime());
        let package = installed.package;
        Ok(match package.hook {
            HookMethod::DockerRuntime { configuration } => {
                let path = service::configuration(&host.root, package, configuration);
                vec![link, SetUpFile::Docker(path)]
            }
            HookMethod::ContainerdRuntime {
                configuration,
                imported,
            } => {
                let path = service::configuration(&host.root, package, configuration);
                match setup_file::containerd_table(host, &path)? {
                    containerd::RuntimeTable::Configuration => {
                        vec![link, SetUpFile::Containerd(path)]
                    }
                    containerd::RuntimeTable::DropIn => {
                        let file = SetUpFile::ContainerdDropIn {
                            configuration: path,
                            imported,
                        };
                        vec![link, file]
                    }
                    containerd::RuntimeTable::Disabled => Vec::new(),
                }
            }
            HookMethod::OciHooks { drop_in, key, .. } => {
                oci_hook_files(&host.root, package, drop_in, key)
            }
            HookMethod::LxcInclude { directory, .. } => {
                match hook_of_lxcfs(&host.root, directory) {
                    Some(_) => Vec::new(),
                    None => vec![SetUpFile::LxcHook(directory)],
                }
            }
            HookMethod::AttachOnly => Vec::new(),
        })
    }

    /// Returns every file that may have set the installable up, whatever is installed and
    /// configured today.
    pub(super) fn possible_files(self, host: &TargetHost) -> Vec<SetUpFile> {
        let engine = match self {
            Installable::Engine(engine) => engine,
            Installable::Cdi => return vec![SetUpFile::CdiDevice],
            Installable::Criu => return vec![SetUpFile::Criu],
        };
        let link = || SetUpFile::RuntimeLink(host.runtime());
        let of_package = |package: &EnginePackage| match package.hook {
            HookMethod::DockerRuntime { configuration } => {
                let moved = service::configuration(&host.root, package, configuration);
                let mut paths = vec![PathBuf::from(configuration), moved];
                paths.dedup();
                let files = paths.into_iter().map(SetUpFile::Docker);
                files.chain([link()]).collect()
            }
            HookMethod::ContainerdRuntime {
                configuration,
                imported,
            } => {
                let moved = service::configuration(&host.root, package, configuration);
                let mut paths = vec![PathBuf::from(configuration), moved];
                paths.dedup();
                let drop_in = SetUpFile::ContainerdDropIn {
                    configuration: configuration.into(),
                    imported,
                };
                let files = paths.into_iter().map(SetUpFile::Containerd);
                files.chain([drop_in, link()]).collect()
            }
            HookMethod::OciHooks {
                directory,
                drop_in,
                key,
                ..
            } => {
                let mut paths = state::hook_directories(&host.root, package);
                paths.extend([directory, ADMINISTRATORS_HOOKS].map(str::to_owned));
                paths.sort();
                paths.dedup();
                let files = paths
                    .into_iter()
                    .map(|path| SetUpFile::OciHook(path.into()));
                let setting = SetUpFile::HookDirectories {
                    path: drop_in.into(),
                    key,
                    directories: Vec::new(),
                };
                files.chain([setting]).collect()
            }
            HookMethod::LxcInclude { directory, .. } => vec![SetUpFile::LxcHook(directory)],
            HookMethod::AttachOnly => Vec::new(),
        };
        engine.packages().flat_map(of_package).collect()
    }

    /// Returns the alias that must stay in a file of the engine after `uninstall`.
    pub(super) fn alias(self, host: &TargetHost, file: &SetUpFile) -> Option<Alias> {
        match self {
            Installable::Engine(engine) => alias::of(host, engine, file),
            Installable::Cdi | Installable::Criu => None,
        }
    }

    /// Makes sure that the engine starts with that content of its file.
    ///
    /// # Errors
    /// [`InstallError::Flag`], [`InstallError::Unproven`].
    pub(super) fn check(
        self,
        host: &TargetHost,
        file: &SetUpFile,
        text: &str,
    ) -> Result<(), InstallError> {
        let (Installable::Engine(engine), SetUpFile::Docker(path)) = (self, file) else {
            return Ok(());
        };
        match engines::installed(engine, &host.root) {
            Some(it) => service::check_docker(host, (it.package, &it.program), path, text),
            None => Ok(()),
        }
    }

    /// Makes sure that the engine is installed, and that its containers do not take the files of
    /// lxcfs.
    ///
    /// # Errors
    /// [`InstallError::Missing`], [`InstallError::Taken`].
    pub fn require(self, host: &TargetHost) -> Result<(), InstallError> {
        let missing = |program| InstallError::Missing {
            name: self.name(),
            program,
        };
        let engine = match self {
            Installable::Engine(engine) => engine,
            Installable::Criu if !self.is_installed(&host.root) => {
                return Err(missing(criu::PROGRAM));
            }
            Installable::Cdi | Installable::Criu => return Ok(()),
        };
        let Some(installed) = engines::installed(engine, &host.root) else {
            let program = engine.packages().next().map_or("", |row| row.program);
            return Err(missing(program));
        };
        let hook = lxcfs_hook(&host.root, installed.package);
        match (&installed.package.hook, hook) {
            (HookMethod::LxcInclude { lxcfs, .. }, Some(hook)) => {
                Err(InstallError::Taken { hook, lxcfs })
            }
            _ => Ok(()),
        }
    }
}

/// Returns the files that give the containers of Podman or CRI-O our hook: a hook in a directory that
/// the engine reads and that can be written. Where there is none, as on systems with a read-only
/// `/usr`, the engine is told to read the administrator's directory too.
fn oci_hook_files(
    root: &Path,
    package: &EnginePackage,
    drop_in: &str,
    key: &'static [&'static str],
) -> Vec<SetUpFile> {
    let mut read = state::hook_directories(root, package);
    let has_ours = |directory: &&String| {
        let file = Path::new(directory).join("plimsoll.json");
        change::below(root, &file).exists()
    };
    let can_write = |directory: &&String| change::can_write(root, Path::new(directory));
    let best = read.iter().find(has_ours).filter(can_write);
    let best = best.or_else(|| read.iter().find(can_write)).cloned();
    // `uninstall` finds the setting by the directory that only the setting names.
    let setting = |directories| SetUpFile::HookDirectories {
        path: drop_in.into(),
        key,
        directories,
    };
    let is_set = change::below(root, Path::new(drop_in)).exists();
    match best {
        Some(directory) if is_set => vec![SetUpFile::OciHook(directory.into()), setting(read)],
        Some(directory) => vec![SetUpFile::OciHook(directory.into())],
        None => {
            read.push(ADMINISTRATORS_HOOKS.to_owned());
            vec![
                SetUpFile::OciHook(ADMINISTRATORS_HOOKS.into()),
                setting(read),
            ]
        }
    }
}

/// Returns the file by which lxcfs's package gives its hook to the containers of that package of LXC or
/// Incus; `None` if there is none, or if the file is that of `plimsoll-lxcfs`.
#[must_use]
pub fn lxcfs_hook(root: &Path, package: &EnginePackage) -> Option<String> {
    let HookMethod::LxcInclude { directory, lxcfs } = package.hook else {
        return None;
    };
    let is_ours = lxcfs == LXCFS_MOUNTPOINT && state::has_our_lxcfs(root);
    hook_of_lxcfs(root, directory).filter(|_| !is_ours)
}

/// Returns the file in the directory by which lxcfs, or the package in its place, sets containers up.
fn hook_of_lxcfs(root: &Path, directory: &str) -> Option<String> {
    let hook = format!("{directory}/00-lxcfs.conf");
    let path = change::below(root, Path::new(&hook));
    path.exists().then_some(hook)
}
