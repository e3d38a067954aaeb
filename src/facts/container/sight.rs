//! The containers that a caller may find by their keys.
//!
//! | caller | finds |
//! |---|---|
//! | a process of the host | every container |
//! | a process in the host's pid and user namespace, with a mount namespace of its own and `CAP_SYS_ADMIN` | every container: root can join the host's namespaces. This is an engine of a snap or of a service, and its hook |
//! | a process in the host's pid namespace, with a user and a mount namespace of its own, and in no cgroup of an engine's container | every container: this is a rootless engine and its hook, or a user of the host |
//! | any other process | its own container, those around it and those within it |

use super::{Caller, CallerError, Callers, caller::Home, caller::namespace_of};
use crate::{
    base::units::Tid,
    facts::{
        cgroup::Layout,
        engines,
        host::{Machine, parse},
    },
};
use std::path::{Path, PathBuf};

/// `CAP_SYS_ADMIN` of `include/uapi/linux/capability.h`.
const CAP_SYS_ADMIN: u32 = 21;

/// The containers that a caller may find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Every container.
    All,
    /// The containers on the way from the root of the hierarchy, which is none, to the cgroup with this
    /// path, and those below.
    Around(PathBuf),
}

impl Sight {
    /// Returns whether the caller may find a container, by the path of its cgroup in the hierarchy
    /// whose inode numbers are the keys.
    #[must_use]
    pub fn shows(&self, path: &Path) -> bool {
        match self {
            Sight::All => true,
            // The root of the hierarchy is the host.
            Sight::Around(own) => {
                path.starts_with(own) || own.starts_with(path) && path.parent().is_some()
            }
        }
    }
}

impl Callers {
    /// Returns the containers that the thread `tid` may find. The thread must wait for the reply until
    /// the return.
    ///
    /// # Errors
    /// As for [`Callers::identify`].
    pub fn sight(
        &self,
        tid: Tid,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<Sight, CallerError> {
        let container = match self.identify(tid, cgroups, machine)? {
            Caller::Host => return Ok(Sight::All),
            Caller::Container(container) => container,
        };
        let own = container.paths.path();
        Ok(match self.is_of_host(tid, own, machine) {
            true => Sight::All,
            false => Sight::Around(own.to_owned()),
        })
    }

    /// Returns whether a thread outside of the host's mount namespace acts for the host. `own` is the
    /// path of its container.
    fn is_of_host(&self, tid: Tid, own: &Path, machine: &Machine) -> bool {
        let place = tid.to_string();
        let Ok(Home::AmongHosts) = self.home(&place, machine) else {
            return false;
        };
        let user = |place: &str| namespace_of(machine, place, "user");
        let Ok(hosts) = user("1").or_else(|_| user("self")) else {
            return false;
        };
        match user(&place) {
            Ok(namespace) if namespace == hosts => {
                let status = machine.proc_text(format!("{place}/status"));
                status.is_ok_and(|status| parse::has_capability(&status, CAP_SYS_ADMIN))
            }
            Ok(_) => own
                .to_str()
                .is_some_and(|own| engines::container_cgroups(own).next().is_none()),
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_finds_those_around_it_and_within_it_and_none_beside_it() {
        let sight = Sight::Around("/pod/box".into());
        for path in ["/pod/box", "/pod/box/inner", "/pod"] {
            assert!(sight.shows(Path::new(path)), "{path}");
        }
        for path in ["/pod/box2", "/pod/other", "/other", "/"] {
            assert!(!sight.shows(Path::new(path)), "{path}");
        }
        assert!(Sight::All.shows(Path::new("/other")));
    }
}
