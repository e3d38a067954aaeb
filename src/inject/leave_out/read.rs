//! Describes a container, and asks the rule.

use super::{
    host_parts::{HostParts, Users},
    rule::{LeaveOutReason, reason},
};
use crate::{
    base::{config::LeaveOut, units::Pid},
    facts::engines::{
        ContainerConfiguration, Description, Descriptions, Facts, NewContainer, RunningContainer,
    },
};
use std::{fs, path::Path};

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
        self.judged(&description, users_of(Some(container.pid)))
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

    /// Returns the answer about a container of LXC or Incus that starts.
    #[must_use]
    pub fn of_lxc(&self, name: &str) -> Verdict {
        self.judged(&self.descriptions.of_lxc(name), Users::Host)
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
            host_parts: HostParts::of(&description.configuration, users),
        }
    }
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
