//! The engines: how each is found, which file sets it up, and what must follow.

use std::path::{Path, PathBuf};

use super::{
    EditError, Host, InstallError,
    change::{self, Kind},
    containerd, docker, hooks,
};

/// An engine whose containers can have the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Docker, by its runtimes.
    Docker,
    /// containerd, by a runtime for Kubernetes' RuntimeClass.
    Containerd,
    /// Podman, by a hook.
    Podman,
    /// CRI-O, by the same hook.
    Crio,
    /// LXC, by a mount hook; not beside lxcfs's own.
    Lxc,
    /// Incus, by the same hook: its containers include what LXC's do.
    Incus,
    /// Every engine that knows the Container Device Interface, by a device.
    Cdi,
}

impl Engine {
    /// All, in the order in which they are set up.
    pub const ALL: [Engine; 7] = [
        Engine::Docker,
        Engine::Containerd,
        Engine::Podman,
        Engine::Crio,
        Engine::Lxc,
        Engine::Incus,
        Engine::Cdi,
    ];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Engine::Docker => "docker",
            Engine::Containerd => "containerd",
            Engine::Podman => "podman",
            Engine::Crio => "crio",
            Engine::Lxc => "lxc",
            Engine::Incus => "incus",
            Engine::Cdi => "cdi",
        }
    }

    /// The engine of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// Whether `--all` means it: a device is for those who ask for it by name.
    #[must_use]
    pub fn is_one_of_all(self) -> bool {
        self != Engine::Cdi
    }

    /// The program by which it is found.
    #[must_use]
    pub fn program(self) -> Option<&'static str> {
        match self {
            Engine::Docker => Some("dockerd"),
            Engine::Containerd => Some("containerd"),
            Engine::Podman => Some("podman"),
            Engine::Crio => Some("crio"),
            Engine::Lxc => Some("lxc-start"),
            Engine::Incus => Some("incusd"),
            Engine::Cdi => None,
        }
    }

    /// Whether it is installed below that root.
    #[must_use]
    pub fn is_installed(self, root: &Path) -> bool {
        let directories = [
            "usr/local/sbin",
            "usr/local/bin",
            "usr/sbin",
            "usr/bin",
            "usr/libexec/incus",
        ];
        self.program().is_none_or(|program| {
            let mut places = directories
                .map(|place| root.join(place).join(program))
                .into_iter();
            places.any(|place| place.exists())
        })
    }

    /// What must be done for a change to count; `None` if nothing must.
    #[must_use]
    pub fn follow_up(self) -> Option<&'static str> {
        match self {
            Engine::Docker => Some("systemctl reload docker"),
            Engine::Containerd => Some("systemctl restart containerd"),
            Engine::Podman | Engine::Crio | Engine::Lxc | Engine::Incus | Engine::Cdi => None,
        }
    }

    /// What a user should know of an engine that is set up.
    #[must_use]
    pub fn note(self) -> &'static str {
        match self {
            Engine::Docker => {
                "containers made from now on have the view; plimsoll attach gives it to the others"
            }
            Engine::Containerd => {
                "pods of a RuntimeClass with handler plimsoll have the view; so has ctr run --runc-binary"
            }
            Engine::Podman | Engine::Crio | Engine::Lxc | Engine::Incus => {
                "containers started from now on have the view"
            }
            Engine::Cdi => "containers with --device plimsoll.io/view=container have the view",
        }
    }

    /// What a user should know of an engine that is not set up any more.
    #[must_use]
    pub fn farewell(self) -> &'static str {
        match self {
            Engine::Docker => "a container that was made with it does not start again without it",
            Engine::Containerd => "pods of that RuntimeClass do not start any more",
            _ => "containers that run keep the view",
        }
    }

    /// What sets it up: nothing, if nothing can.
    pub(super) fn targets(self, host: &Host) -> Result<Vec<Target>, InstallError> {
        let runtime = Target::Runtime(host.runtime());
        Ok(match self {
            Engine::Docker => vec![runtime, Target::Docker],
            Engine::Containerd => match containerd_home(host)? {
                containerd::Home::Configuration => vec![runtime, Target::Containerd],
                containerd::Home::DropIn => vec![runtime, Target::ContainerdDropIn],
                containerd::Home::Nowhere => Vec::new(),
            },
            Engine::Podman | Engine::Crio => vec![Target::Hook],
            Engine::Lxc | Engine::Incus if rival(host) => Vec::new(),
            Engine::Lxc | Engine::Incus => vec![Target::Lxc],
            Engine::Cdi => vec![Target::Cdi],
        })
    }

    /// All that may have set it up, whatever its configuration says today.
    pub(super) fn traces(self, host: &Host) -> Vec<Target> {
        let runtime = Target::Runtime(host.runtime());
        match self {
            Engine::Docker => vec![Target::Docker, runtime],
            Engine::Containerd => vec![Target::Containerd, Target::ContainerdDropIn, runtime],
            Engine::Podman | Engine::Crio => vec![Target::Hook],
            Engine::Lxc | Engine::Incus => vec![Target::Lxc],
            Engine::Cdi => vec![Target::Cdi],
        }
    }

    /// Whether it has its containers include what lxcfs's package writes.
    pub(super) fn takes_lxcfs(self) -> bool {
        matches!(self, Engine::Lxc | Engine::Incus)
    }
}

/// A file that sets an engine up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The name by which an engine calls the program as its runtime.
    Runtime(PathBuf),
    /// Docker's configuration.
    Docker,
    /// containerd's configuration.
    Containerd,
    /// What containerd's configuration imports.
    ContainerdDropIn,
    /// What podman and CRI-O read.
    Hook,
    /// What the containers of LXC and Incus include.
    Lxc,
    /// What knows devices by name.
    Cdi,
}

impl Target {
    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Target::Runtime(path) => return path.clone(),
            Target::Docker => "/etc/docker/daemon.json",
            Target::Containerd => CONFIGURATION,
            Target::ContainerdDropIn => "/etc/containerd/conf.d/plimsoll.toml",
            // Both read this directory unless they are told otherwise; podman reads the one below
            // /etc only if its hooks_dir names it.
            Target::Hook => "/usr/share/containers/oci/hooks.d/plimsoll.json",
            Target::Lxc => "/usr/share/lxc/config/common.conf.d/plimsoll.conf",
            Target::Cdi => "/etc/cdi/plimsoll.json",
        }
        .into()
    }

    /// What stands there.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Target::Runtime(_) => Kind::Link,
            _ => Kind::Text,
        }
    }

    /// What shall stand there, from what does.
    pub(super) fn set(&self, host: &Host, text: Option<&str>) -> Result<String, InstallError> {
        let text = text.unwrap_or_default();
        let runtime = host.runtime();
        let runtime = runtime.to_string_lossy();
        let set = match self {
            Target::Runtime(_) if text.is_empty() => Ok(host.name()),
            Target::Runtime(_) => Ok(text.to_owned()),
            Target::Docker => docker::set(text, &runtime, host.is_chained),
            Target::Containerd => containerd::set(text, &runtime),
            Target::ContainerdDropIn => containerd::drop_in(&beside(host)?, &runtime),
            Target::Hook => Ok(hooks::oci(&host.program.to_string_lossy())),
            Target::Lxc => Ok(hooks::lxc(&host.program.to_string_lossy())),
            Target::Cdi => Ok(hooks::cdi(&host.program.to_string_lossy())),
        };
        set.map_err(self.refused())
    }

    /// What is left there without us, from what there is and what there was before us; `None` for
    /// nothing.
    pub(super) fn unset(
        &self,
        text: &str,
        before: Option<&str>,
    ) -> Result<Option<String>, InstallError> {
        let unset = match self {
            // Whoever made it otherwise needs it: a package.
            Target::Runtime(_) => Ok(Some(text.to_owned())),
            Target::Docker => docker::unset(text, before),
            Target::Containerd | Target::ContainerdDropIn => containerd::unset(text),
            Target::Hook | Target::Lxc | Target::Cdi => Ok(None),
        };
        unset.map_err(self.refused())
    }

    fn refused(&self) -> impl FnOnce(EditError) -> InstallError {
        let path = self.path();
        |source| InstallError::Edit { path, source }
    }
}

const CONFIGURATION: &str = "/etc/containerd/config.toml";

/// What lxcfs's package has the containers of LXC and Incus include.
pub(super) const LXCFS: &str = "/usr/share/lxc/config/common.conf.d/00-lxcfs.conf";

/// Whether the containers of LXC and Incus take lxcfs's files already.
pub(super) fn rival(host: &Host) -> bool {
    let path = LXCFS.strip_prefix('/').unwrap_or(LXCFS);
    host.root.join(path).exists()
}

/// What stands in containerd's configuration.
fn beside(host: &Host) -> Result<String, InstallError> {
    let text = change::read(&host.root, Path::new(CONFIGURATION), Kind::Text)?;
    Ok(text.unwrap_or_default())
}

fn containerd_home(host: &Host) -> Result<containerd::Home, InstallError> {
    containerd::home(&beside(host)?).map_err(Target::Containerd.refused())
}
