//! Describes a container, and asks the rule.

use super::{
    host_parts::{HostParts, HostTree, Users},
    rule::{LeaveOutReason, reason},
};
use crate::{
    base::{config::LeaveOut, mountinfo, units::Pid},
    facts::engines::{
        ContainerConfiguration, Description, Descriptions, Engine, Facts, NewContainer,
        RunningContainer,
    },
};
use nix::sys::stat::{major, minor};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// The engines whose containers have a new sysfs and procfs, and no configuration of their mounts that
/// this program reads.
const WITHOUT_CONFIGURATION: [Engine; 3] = [Engine::Lxc, Engine::Incus, Engine::Nspawn];

/// The rules of one machine, and the containers that they are asked about.
#[derive(Debug)]
pub struct LeaveOutRules {
    settings: LeaveOut,
    descriptions: Descriptions,
}

/// The answer about one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The reason for which the container is left out; `None` if it gets its view.
    pub left_out: Option<LeaveOutReason>,
    /// The parts of `/proc` and `/sys` that are the host's and stay so.
    pub host_parts: HostParts,
}

impl LeaveOutRules {
    /// The rules of these settings on this machine.
    #[must_use]
    pub fn new(settings: LeaveOut) -> LeaveOutRules {
        let facts = match settings.is_empty() {
            true => Facts::FewFiles,
            false => Facts::All,
        };
        LeaveOutRules {
            settings,
            descriptions: Descriptions::of(Path::new("/"), facts),
        }
    }

    /// Returns the answer about a container that runs.
    #[must_use]
    pub fn of_running(&self, container: &RunningContainer) -> Verdict {
        let description = self.descriptions.of_running(container);
        let pid = Some(container.pid);
        let verdict = self.judged(&description, users_of(pid));
        match WITHOUT_CONFIGURATION.contains(&container.engine) {
            true => Verdict {
                host_parts: mounted_parts(pid, Path::new("/")),
                ..verdict
            },
            false => verdict,
        }
    }

    /// Returns the answer about a container that a runtime makes, with its configuration as far as that
    /// is known.
    #[must_use]
    pub fn of_new(
        &self,
        container: NewContainer<'_>,
        configuration: Option<ContainerConfiguration>,
    ) -> Verdict {
        let description = self.descriptions.of_new(container, configuration);
        self.judged(&description, users_of(container.pid))
    }

    /// Returns the answer about a container of LXC or Incus that starts around this process, with its
    /// root at `root`.
    #[must_use]
    pub fn of_lxc(&self, name: &str, root: &Path) -> Verdict {
        let verdict = self.judged(&self.descriptions.of_lxc(name), Users::Host);
        Verdict {
            host_parts: mounted_parts(None, root),
            ..verdict
        }
    }

    /// Returns the answer about a container around the process `pid` that its engine has described.
    #[must_use]
    pub fn of_described(&self, description: &Description, pid: Pid) -> Verdict {
        self.judged(description, users_of(Some(pid)))
    }

    /// Returns the answer about a container of which nothing but its name is known.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Verdict {
        let description = Description {
            names: vec![name.to_owned()],
            ..Description::default()
        };
        self.judged(&description, Users::Host)
    }

    fn judged(&self, description: &Description, users: Users) -> Verdict {
        Verdict {
            left_out: reason(&self.settings, description),
            host_parts: (description.configuration.as_ref())
                .map(|configuration| HostParts::of(configuration, users))
                .unwrap_or_default(),
        }
    }
}

/// Returns the host's parts among the mounts of a process, `None` for this one, whose root is at `root`
/// in the mount points. None in a user namespace: the kernel may refuse a new file system there.
fn mounted_parts(pid: Option<Pid>, root: &Path) -> HostParts {
    let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let mounts = pid.map_or_else(mountinfo::own, mountinfo::of);
    let (Users::Host, Ok(mounts)) = (users_of(pid), mounts) else {
        return HostParts::default();
    };
    let namespace = |process: &str, name: &str| fs::read_link(format!("/proc/{process}/ns/{name}"));
    let has_own = |name: &str| match (namespace(&process, name), namespace("1", name)) {
        (Ok(own), Ok(hosts)) => own != hosts,
        _ => false,
    };
    let tree = |kind, point, name| {
        let device = fs::metadata(point).ok().filter(|_| has_own(name))?.dev();
        let device = format!("{}:{}", major(device), minor(device));
        Some(HostTree {
            kind,
            point,
            device,
        })
    };
    let trees = [tree("sysfs", "/sys", "net"), tree("proc", "/proc", "pid")];
    let trees: Vec<HostTree> = trees.into_iter().flatten().collect();
    HostParts::among(&mounts, root, &trees)
}

/// Returns the user namespace of a process: the host's maps every id to itself.
fn users_of(pid: Option<Pid>) -> Users {
    let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let map = fs::read_to_string(format!("/proc/{process}/uid_map"));
    let map = map.unwrap_or_default();
    let numbers: Vec<&str> = map.split_whitespace().collect();
    match numbers == ["0", "0", "4294967295"] {
        true => Users::Host,
        false => Users::Mapped,
    }
}
