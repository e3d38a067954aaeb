//! Pure. The table of engines: one row for each way in which an engine is packaged.
//!
//! `plimsoll install` and `plimsoll doctor` find an engine and its configuration by this table.
//! The cgroups of an engine's containers are rows of a table of their own, `shape_table`.

use crate::base::paths::LXCFS_MOUNTPOINT;

/// A program that runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// containerd, for Kubernetes or by itself.
    Containerd,
    /// CRI-O.
    Crio,
    /// LXC.
    Lxc,
    /// Incus, whose containers are LXC's too but are configured apart.
    Incus,
    /// systemd-nspawn.
    Nspawn,
    /// libvirt's driver for containers.
    Libvirt,
    /// Garden, of Cloud Foundry and Concourse.
    Garden,
    /// BuildKit, for the steps of an image's build.
    Buildkit,
    /// Mesos.
    Mesos,
    /// Nomad, for tasks that no other engine runs.
    Nomad,
    /// Apptainer, and Singularity before it.
    Apptainer,
    /// runc, called without an engine.
    Runc,
    /// crun, called without an engine.
    Crun,
    /// youki, called without an engine.
    Youki,
    /// `plimsoll run`.
    Plimsoll,
    /// An engine that is not known: a container is known by its namespaces, and named by its cgroup.
    Other,
}

impl Engine {
    /// The engines of the table, in the order in which `plimsoll install --all` sets them up. Of the
    /// others only the containers are known, by their cgroups.
    pub const ALL: [Engine; 7] = [
        Engine::Docker,
        Engine::Containerd,
        Engine::Podman,
        Engine::Crio,
        Engine::Lxc,
        Engine::Incus,
        Engine::Nspawn,
    ];

    /// Every engine whose containers are known.
    pub const EVERY: [Engine; 18] = [
        Engine::Docker,
        Engine::Podman,
        Engine::Containerd,
        Engine::Crio,
        Engine::Lxc,
        Engine::Incus,
        Engine::Nspawn,
        Engine::Libvirt,
        Engine::Garden,
        Engine::Buildkit,
        Engine::Mesos,
        Engine::Nomad,
        Engine::Apptainer,
        Engine::Runc,
        Engine::Crun,
        Engine::Youki,
        Engine::Plimsoll,
        Engine::Other,
    ];

    /// The name on the command line and in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Engine::Docker => "docker",
            Engine::Podman => "podman",
            Engine::Containerd => "containerd",
            Engine::Crio => "crio",
            Engine::Lxc => "lxc",
            Engine::Incus => "incus",
            Engine::Nspawn => "nspawn",
            Engine::Libvirt => "libvirt",
            Engine::Garden => "garden",
            Engine::Buildkit => "buildkit",
            Engine::Mesos => "mesos",
            Engine::Nomad => "nomad",
            Engine::Apptainer => "apptainer",
            Engine::Runc => "runc",
            Engine::Crun => "crun",
            Engine::Youki => "youki",
            Engine::Plimsoll => "plimsoll",
            Engine::Other => "other",
        }
    }

    /// The rows of the table for this engine; none for one of which only `shape_table` knows.
    pub fn packages(self) -> impl Iterator<Item = &'static EnginePackage> {
        PACKAGES.iter().filter(move |row| row.engine == self)
    }

    /// Returns whether the engine's containers can get our hook when they start.
    #[must_use]
    pub fn has_hooks(self) -> bool {
        let mut packages = self.packages();
        packages.any(|package| package.hook != HookMethod::AttachOnly)
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// An engine as one kind of package installs it. Every path is absolute on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnginePackage {
    /// The engine.
    pub engine: Engine,
    /// The program whose presence shows that the package is installed.
    pub program: &'static str,
    /// The directories that may hold the program, in the order of search.
    pub directories: &'static [&'static str],
    /// The way in which the engine's containers get our hook.
    pub hook: HookMethod,
}

/// The way in which the containers of an engine get our hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookMethod {
    /// Docker calls our runtime, which its configuration names as the default.
    DockerRuntime {
        /// `daemon.json`.
        configuration: &'static str,
    },
    /// containerd calls our runtime for the pods whose RuntimeClass names it.
    ContainerdRuntime {
        /// `config.toml`.
        configuration: &'static str,
        /// The directory of further files that the configuration may import.
        imported: &'static str,
    },
    /// The engine reads hook files (oci-hooks(5)) from directories.
    OciHooks {
        /// The directory that the engine reads unless its settings name other directories.
        directory: &'static str,
        /// The settings: files, and directories of `*.conf` files. A later one overrides an
        /// earlier one.
        settings: &'static [&'static str],
        /// The keys in the settings down to the list of directories.
        key: &'static [&'static str],
        /// A drop-in of the settings, which only Plimsoll writes.
        drop_in: &'static str,
    },
    /// The engine's containers include every file of a directory, which may name a mount hook.
    LxcInclude {
        /// The directory.
        directory: &'static str,
        /// The mount point of the lxcfs that the package's own hook serves files from.
        lxcfs: &'static str,
    },
    /// The engine has no hooks: its containers get the view only by `plimsoll attach`.
    AttachOnly,
}

/// Directories of programs, in the order of a usual `PATH`.
const PATH: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

// Podman reads the directory below /etc only if its hooks_dir names it, and so does CRI-O.
const OCI_HOOKS: &str = "/usr/share/containers/oci/hooks.d";
/// The directory of hooks of the administrator, which engines read only if their settings name it, or
/// name no directory at all.
pub const ADMINISTRATORS_HOOKS: &str = "/etc/containers/oci/hooks.d";

/// The directories of devices of the Container Device Interface.
pub const CDI_DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// The table. Of the rows of one engine, an earlier one is preferred.
pub const PACKAGES: &[EnginePackage] = &[
    EnginePackage {
        engine: Engine::Docker,
        program: "dockerd",
        directories: PATH,
        hook: HookMethod::DockerRuntime {
            configuration: "/etc/docker/daemon.json",
        },
    },
    EnginePackage {
        engine: Engine::Containerd,
        program: "containerd",
        directories: PATH,
        hook: HookMethod::ContainerdRuntime {
            configuration: "/etc/containerd/config.toml",
            imported: "/etc/containerd/conf.d",
        },
    },
    EnginePackage {
        engine: Engine::Podman,
        program: "podman",
        directories: PATH,
        hook: HookMethod::OciHooks {
            directory: OCI_HOOKS,
            settings: &[
                "/usr/share/containers/containers.conf",
                "/usr/share/containers/containers.conf.d",
                "/etc/containers/containers.conf",
                "/etc/containers/containers.conf.d",
            ],
            key: &["engine", "hooks_dir"],
            drop_in: "/etc/containers/containers.conf.d/99-plimsoll.conf",
        },
    },
    EnginePackage {
        engine: Engine::Crio,
        program: "crio",
        directories: PATH,
        hook: HookMethod::OciHooks {
            directory: OCI_HOOKS,
            settings: &[
                "/usr/share/crio/crio.conf.d",
                "/etc/crio/crio.conf",
                "/etc/crio/crio.conf.d",
            ],
            key: &["crio", "runtime", "hooks_dir"],
            drop_in: "/etc/crio/crio.conf.d/99-plimsoll.conf",
        },
    },
    EnginePackage {
        engine: Engine::Lxc,
        program: "lxc-start",
        directories: PATH,
        hook: LXC_INCLUDE,
    },
    EnginePackage {
        engine: Engine::Incus,
        program: "incusd",
        // Debian's package has it below libexec.
        directories: &[
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/usr/libexec/incus",
        ],
        hook: LXC_INCLUDE,
    },
    // Zabbly's package keeps LXC and lxcfs to itself: its start script sets
    // INCUS_LXC_TEMPLATE_CONFIG.
    EnginePackage {
        engine: Engine::Incus,
        program: "incusd",
        directories: &["/opt/incus/bin"],
        hook: HookMethod::LxcInclude {
            directory: "/opt/incus/share/lxc/config/common.conf.d",
            lxcfs: "/var/lib/incus-lxcfs",
        },
    },
    EnginePackage {
        engine: Engine::Nspawn,
        program: "systemd-nspawn",
        directories: PATH,
        hook: HookMethod::AttachOnly,
    },
];

const LXC_INCLUDE: HookMethod = HookMethod::LxcInclude {
    directory: "/usr/share/lxc/config/common.conf.d",
    lxcfs: LXCFS_MOUNTPOINT,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_a_row_and_one_name() {
        for engine in Engine::ALL {
            assert!(engine.packages().next().is_some(), "{engine}");
            let printed = serde_json::to_value(engine).unwrap();
            assert_eq!(printed, engine.name());
        }
    }

    #[test]
    fn no_engine_is_missing_among_those_whose_containers_are_known() {
        assert!(Engine::EVERY.is_sorted_by(|a, b| a < b));
        assert_eq!(Engine::EVERY.last(), Some(&Engine::Other));
        let shaped = super::super::shape_table::SHAPES.iter();
        for engine in shaped.filter_map(|(engine, ..)| *engine) {
            assert!(Engine::EVERY.contains(&engine), "{engine}");
        }
    }
}
