//! The confinement of a container's processes: no new privileges, a filter of system calls, a session
//! keyring.

use std::path::Path;

use nix::{
    errno::Errno,
    sys::{prctl, utsname::uname},
    unistd::Pid,
};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::{
    base::sys::{
        process, read_named,
        seccomp::{SystemCallFilter, has_seccomp_filters, join_new_session_keyring},
    },
    run::{
        error::RunError,
        options::security::{Seccomp, Security},
        seccomp::{
            bpf, docker,
            filter::Filter,
            profile::{self, ProfileError, ProfileFacts},
        },
    },
};

/// The maximum length of a profile, in bytes.
const MAX_PROFILE: u64 = 1 << 20;

/// The exit status of a container that cannot be started.
const NOT_STARTED: i32 = 125;

/// The confinement of a container's processes.
#[derive(Debug)]
pub(crate) struct Confinement {
    /// The filter of system calls.
    filter: Option<SystemCallFilter>,
    /// No program gives the processes privileges that they lack.
    no_new_privileges: bool,
    /// Process 1 has CAP_SYS_ADMIN only for the filter.
    drops_admin: bool,
}

impl Confinement {
    /// Returns the confinement that the options of the command line ask for.
    ///
    /// # Errors
    ///
    /// A kernel without filters, and a profile with a mistake.
    pub(crate) fn new(security: &Security) -> Result<Confinement, RunError> {
        let filter = match &security.seccomp {
            Seccomp::Docker => Some(Ok(docker::filter(security.capabilities))),
            Seccomp::Profile(path) => Some(read_profile(path, security)),
            Seccomp::Unconfined => None,
        };
        let filter = filter.map(|filter| filter.and_then(|filter| compiled(&filter)));
        if filter.is_some() && !has_seccomp_filters() {
            return Err(RunError::NoSeccomp);
        }
        let wrong = |source| RunError::Profile {
            path: match &security.seccomp {
                Seccomp::Profile(path) => path.clone(),
                Seccomp::Docker | Seccomp::Unconfined => "builtin".into(),
            },
            source,
        };
        Ok(Confinement {
            filter: filter.transpose().map_err(wrong)?,
            no_new_privileges: security.no_new_privileges,
            drops_admin: security.needs_admin(),
        })
    }

    /// Gives the calling process a session keyring of its own: that of the host's user may hold
    /// keys of the host.
    ///
    /// # Errors
    ///
    /// The errors of `keyctl(2)`. A kernel without keys has none to keep from a container.
    pub(crate) fn separate_keys() -> nix::Result<()> {
        match join_new_session_keyring() {
            Err(Errno::ENOSYS) => Ok(()),
            result => result,
        }
    }

    /// Forks the calling process. Parent and child are confined from then on, and so is all that
    /// they start.
    ///
    /// # Errors
    ///
    /// The errors of `prctl(2)`, `seccomp(2)`, `fork(2)` and `capset(2)`.
    pub(crate) fn fork(&self, child: impl FnOnce() -> i32) -> nix::Result<Pid> {
        if self.no_new_privileges {
            prctl::set_no_new_privs()?;
        }
        let child = process::forked_under(self.filter.as_ref(), || match self.drop_admin() {
            Ok(()) => child(),
            Err(_) => NOT_STARTED,
        })?;
        // No process of the container can trace this one before, which has more capabilities.
        self.drop_admin()?;
        Ok(child)
    }

    fn drop_admin(&self) -> nix::Result<()> {
        if !self.drops_admin {
            return Ok(());
        }
        let dropped = capabilities(None).and_then(|mut sets| {
            sets.effective.remove(CapabilitySet::SYS_ADMIN);
            sets.permitted.remove(CapabilitySet::SYS_ADMIN);
            set_capabilities(None, sets)
        });
        dropped.map_err(|error| Errno::from_raw(error.raw_os_error()))
    }
}

/// Returns the filter as a program for the kernel.
fn compiled(filter: &Filter) -> Result<SystemCallFilter, ProfileError> {
    let program = bpf::program(filter).ok_or(ProfileError::TooLong)?;
    let program = program.into_iter().map(|instruction| libc::sock_filter {
        code: instruction.code,
        jt: instruction.jump_true,
        jf: instruction.jump_false,
        k: instruction.operand,
    });
    Ok(SystemCallFilter::new(program.collect(), filter.logs))
}

fn read_profile(path: &Path, security: &Security) -> Result<Filter, ProfileError> {
    let text = read_named(path, MAX_PROFILE)?;
    let facts = ProfileFacts {
        capabilities: security.capabilities,
        kernel: kernel(),
    };
    profile::parse(&text, &facts)
}

/// Returns the major and the minor version of the kernel; 0 and 0 if the kernel names none.
fn kernel() -> (u32, u32) {
    let names = uname().ok();
    let release = names.as_ref().and_then(|names| names.release().to_str());
    let mut numbers = release
        .unwrap_or_default()
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    let (major, minor) = (numbers.next(), numbers.next());
    (major.unwrap_or(0), minor.unwrap_or(0))
}
