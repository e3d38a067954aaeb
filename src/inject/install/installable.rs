//! The engines that `plimsoll install` sets up, and the files by which it does.

use std::path::Path;

use super::{
    InstallError, TargetHost, change, containerd,
    setup_file::{self, SetUpFile},
};
use crate::facts::engines::{self, Engine, EnginePackage, HookMethod};

/// A thing that `plimsoll install` sets up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installable {
    /// An engine that has hooks or runtimes of its own.
    Engine(Engine),
    /// The Container Device Interface, by a device: every engine that supports it.
    Cdi,
}

impl Installable {
    /// Returns every installable, in the order in which they are set up.
    #[must_use]
    pub fn all() -> Vec<Installable> {
        let engines = Engine::ALL.into_iter().filter(|engine| engine.has_hooks());
        let engines = engines.map(Installable::Engine);
        engines.chain([Installable::Cdi]).collect()
    }

    /// Returns the name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Installable::Engine(engine) => engine.name(),
            Installable::Cdi => "cdi",
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
                "pods of a RuntimeClass with handler plimsoll have the view; so has ctr run --runc-binary"
            }
            Installable::Engine(_) => "containers started from now on have the view",
            Installable::Cdi => "containers with --device plimsoll.io/view=container have the view",
        }
    }

    /// Returns the sentence for the user about the view of containers after `uninstall`.
    #[must_use]
    pub fn farewell(self) -> &'static str {
        match self {
            Installable::Engine(Engine::Docker) => {
                "a container that was made with it does not start again without it"
            }
            Installable::Engine(Engine::Containerd) => {
                "pods of that RuntimeClass do not start any more"
            }
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
        let Installable::Engine(engine) = self else {
            return Ok(vec![SetUpFile::CdiDevice]);
        };
        let Some(installed) = engines::installed(engine, &host.root) else {
            return Ok(Vec::new());
        };
        let link = SetUpFile::RuntimeLink(host.runtime());
        Ok(match installed.package.hook {
            HookMethod::DockerRuntime { configuration } => {
                vec![link, SetUpFile::Docker(configuration)]
            }
            HookMethod::ContainerdRuntime {
                configuration,
                imported,
            } => match setup_file::containerd_table(host, configuration)? {
                containerd::RuntimeTable::Configuration => {
                    vec![link, SetUpFile::Containerd(configuration)]
                }
                containerd::RuntimeTable::DropIn => {
                    let file = SetUpFile::ContainerdDropIn {
                        configuration,
                        imported,
                    };
                    vec![link, file]
                }
                containerd::RuntimeTable::Disabled => Vec::new(),
            },
            HookMethod::OciHooks { directory, .. } => vec![SetUpFile::OciHook(directory)],
            HookMethod::LxcInclude { directory, .. } => match has_lxcfs_hook(host, directory) {
                true => Vec::new(),
                false => vec![SetUpFile::LxcHook(directory)],
            },
            HookMethod::AttachOnly => Vec::new(),
        })
    }

    /// Returns every file that may have set the installable up, whatever is installed and
    /// configured today.
    pub(super) fn possible_files(self, host: &TargetHost) -> Vec<SetUpFile> {
        let Installable::Engine(engine) = self else {
            return vec![SetUpFile::CdiDevice];
        };
        let link = || SetUpFile::RuntimeLink(host.runtime());
        let of_package = |package: &EnginePackage| match package.hook {
            HookMethod::DockerRuntime { configuration } => {
                vec![SetUpFile::Docker(configuration), link()]
            }
            HookMethod::ContainerdRuntime {
                configuration,
                imported,
            } => {
                let drop_in = SetUpFile::ContainerdDropIn {
                    configuration,
                    imported,
                };
                vec![SetUpFile::Containerd(configuration), drop_in, link()]
            }
            HookMethod::OciHooks { directory, .. } => vec![SetUpFile::OciHook(directory)],
            HookMethod::LxcInclude { directory, .. } => vec![SetUpFile::LxcHook(directory)],
            HookMethod::AttachOnly => Vec::new(),
        };
        engine.packages().flat_map(of_package).collect()
    }

    /// Makes sure that the engine is installed, and that its containers do not take the files of
    /// lxcfs.
    ///
    /// # Errors
    /// [`InstallError::Missing`], [`InstallError::Taken`].
    pub fn require(self, host: &TargetHost) -> Result<(), InstallError> {
        let Installable::Engine(engine) = self else {
            return Ok(());
        };
        let Some(installed) = engines::installed(engine, &host.root) else {
            let program = engine.packages().next().map_or("", |row| row.program);
            return Err(InstallError::Missing { engine, program });
        };
        match installed.package.hook {
            HookMethod::LxcInclude { directory, lxcfs } if has_lxcfs_hook(host, directory) => {
                Err(InstallError::Taken {
                    hook: lxcfs_hook(directory),
                    lxcfs,
                })
            }
            _ => Ok(()),
        }
    }
}

/// Returns the file by which lxcfs's package gives its hook to the containers of LXC and Incus.
fn lxcfs_hook(directory: &str) -> String {
    format!("{directory}/00-lxcfs.conf")
}

fn has_lxcfs_hook(host: &TargetHost, directory: &str) -> bool {
    change::below(&host.root, Path::new(&lxcfs_hook(directory))).exists()
}
