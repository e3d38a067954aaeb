//! Pure. The security of a container: its capabilities, its filter of system calls, and its limits by
//! `setrlimit(2)`.

use std::{collections::BTreeMap, path::PathBuf};

use rustix::{process::Resource, thread::CapabilitySet};

/// The capabilities of a container without `--cap-add` and `--cap-drop`: Docker's, without
/// CAP_MKNOD, because on cgroup v2 nothing else keeps a device node from the host's device.
pub(crate) const DEFAULT_CAPABILITIES: CapabilitySet = CapabilitySet::AUDIT_WRITE
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SYS_CHROOT);

/// The security of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The capabilities that the command may have.
    pub capabilities: CapabilitySet,
    /// The filter of system calls.
    pub seccomp: Seccomp,
    /// No program gives the command privileges that the command lacks.
    pub no_new_privileges: bool,
    /// The limits of each process, soft and hard, by kind.
    pub ulimits: BTreeMap<Ulimit, (u64, u64)>,
}

impl Default for Security {
    fn default() -> Security {
        Security {
            capabilities: DEFAULT_CAPABILITIES,
            seccomp: Seccomp::Docker,
            no_new_privileges: true,
            ulimits: BTreeMap::new(),
        }
    }
}

impl Security {
    /// Returns whether process 1 needs CAP_SYS_ADMIN for its filter, which the container does not
    /// have: the kernel accepts a filter only from a process that has this capability or that can
    /// gain no privileges (`seccomp_prepare_filter`, kernel/seccomp.c).
    pub(crate) fn needs_admin(&self) -> bool {
        !self.no_new_privileges
            && self.seccomp != Seccomp::Unconfined
            && !self.capabilities.contains(CapabilitySet::SYS_ADMIN)
    }

    /// Returns the capabilities of process 1 until it has its filter. The bounding set never has
    /// more than the container's own, so no program gets CAP_SYS_ADMIN from process 1.
    pub(crate) fn first_capabilities(&self) -> CapabilitySet {
        match self.needs_admin() {
            true => self.capabilities | CapabilitySet::SYS_ADMIN,
            false => self.capabilities,
        }
    }
}

/// The filter of a container's system calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// Docker's default filter.
    #[default]
    Docker,
    /// No filter.
    Unconfined,
    /// The filter of a profile in this file.
    Profile(PathBuf),
}

/// A kind of limit: the index of its name in the table of all kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ulimit(usize);

/// The kinds of limits, with the names that Docker gives them.
const ULIMITS: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

impl Ulimit {
    /// Returns the resource that is limited; `None` for no kind, which no parser returns.
    pub(crate) fn resource(self) -> Option<Resource> {
        ULIMITS.get(self.0).map(|(_, kind)| *kind)
    }

    /// Returns the name on the command line; `None` for no kind.
    pub(crate) fn name(self) -> Option<&'static str> {
        ULIMITS.get(self.0).map(|(name, _)| *name)
    }
}

/// The error of an option that sets a container's security.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// The value names no capability.
    #[error("--{option} {text}: write a capability of capabilities(7), like NET_ADMIN, or ALL")]
    NoCapability {
        /// The option.
        option: &'static str,
        /// The text of the option.
        text: String,
    },
    /// This process cannot give the capability.
    #[error("--cap-add {0}: plimsoll itself lacks this capability, so no container can get it")]
    Lacking(String),
    /// The value is no security option.
    #[error(
        "--security-opt {0}: write seccomp=unconfined, seccomp=FILE, no-new-privileges or no-new-privileges=false"
    )]
    Option(String),
    /// The value is no limit.
    #[error("--ulimit {text}: {wrong}")]
    Ulimit {
        /// The text of the option.
        text: String,
        /// The mistake, with the correct form.
        wrong: String,
    },
}

/// Parses `--cap-add` and `--cap-drop` into the container's capabilities, as Docker does: ALL adds
/// each of `available`, the capabilities of this process; dropped ALL leaves the added ones.
///
/// # Errors
///
/// A text that names no capability, and an added capability that is not available.
pub fn capabilities(
    add: &[String],
    drop: &[String],
    available: CapabilitySet,
) -> Result<CapabilitySet, SecurityError> {
    let added = Named::parse("cap-add", add)?;
    let dropped = Named::parse("cap-drop", drop)?;
    let lacking = added.named.difference(available);
    if let Some((name, _)) = lacking.iter_names().next() {
        return Err(SecurityError::Lacking(name.to_owned()));
    }
    if added.is_all {
        return Ok(available.difference(dropped.named));
    }
    let kept = match dropped.is_all {
        true => CapabilitySet::empty(),
        false => DEFAULT_CAPABILITIES.difference(dropped.named),
    };
    Ok(kept | added.named)
}

/// The capabilities that an option names.
struct Named {
    is_all: bool,
    named: CapabilitySet,
}

impl Named {
    fn parse(option: &'static str, texts: &[String]) -> Result<Named, SecurityError> {
        let mut found = Named {
            is_all: false,
            named: CapabilitySet::empty(),
        };
        for text in texts {
            let upper = text.to_ascii_uppercase();
            let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if name == "ALL" {
                found.is_all = true;
                continue;
            }
            let capability = CapabilitySet::from_name(name);
            found.named |= capability.ok_or_else(|| SecurityError::NoCapability {
                option,
                text: text.clone(),
            })?;
        }
        Ok(found)
    }
}

/// Applies a text of `--security-opt` to `security`.
///
/// # Errors
///
/// A text that is no option, or one of Docker's that has no effect here.
pub fn security_option(text: &str, security: &mut Security) -> Result<(), SecurityError> {
    // Docker takes a colon in place of the first equals sign.
    let (name, value) = match text.split_once(['=', ':']) {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    match (name, value) {
        ("no-new-privileges", None | Some("true")) => security.no_new_privileges = true,
        ("no-new-privileges", Some("false")) => security.no_new_privileges = false,
        ("seccomp", Some("unconfined")) => security.seccomp = Seccomp::Unconfined,
        ("seccomp", Some("builtin")) => security.seccomp = Seccomp::Docker,
        ("seccomp", Some(file)) if !file.is_empty() => {
            security.seccomp = Seccomp::Profile(file.into());
        }
        _ => return Err(SecurityError::Option(text.to_owned())),
    }
    Ok(())
}

/// Parses `--ulimit`: `NAME=SOFT[:HARD]`, each -1 for no limit. Without `HARD` the hard limit
/// is the soft one.
///
/// # Errors
///
/// A text of another form, an unknown name, and a soft limit above the hard one.
pub fn ulimit(text: &str) -> Result<(Ulimit, (u64, u64)), SecurityError> {
    let wrong = |wrong: String| SecurityError::Ulimit {
        text: text.to_owned(),
        wrong,
    };
    let form = || wrong("write NAME=SOFT or NAME=SOFT:HARD, like nofile=1024:4096".to_owned());
    let (name, limits) = text.split_once('=').ok_or_else(form)?;
    let kind = ULIMITS.iter().position(|(other, _)| *other == name);
    let kind = kind.ok_or_else(|| {
        let names = ULIMITS.map(|(name, _)| name);
        wrong(format!("the limits are {}", names.join(", ")))
    })?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| match text {
        "-1" => Some(u64::MAX),
        _ => text.parse().ok(),
    };
    let (Some(soft), Some(hard)) = (number(soft), number(hard)) else {
        return Err(form());
    };
    if soft > hard {
        return Err(wrong("the soft limit is above the hard limit".to_owned()));
    }
    Ok((Ulimit(kind), (soft, hard)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn result(add: &str, drop: &str) -> CapabilitySet {
        let more = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
        let available = DEFAULT_CAPABILITIES | more;
        capabilities(&texts(add), &texts(drop), available).unwrap()
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        let default = DEFAULT_CAPABILITIES;
        assert_eq!(result("", ""), default);
        let more = default | CapabilitySet::NET_ADMIN;
        for name in ["NET_ADMIN", "CAP_NET_ADMIN", "cap_net_admin"] {
            assert_eq!(result(name, ""), more, "{name}");
        }
        assert!(!result("", "chown").contains(CapabilitySet::CHOWN));
        assert_eq!(result("", "ALL"), CapabilitySet::empty());
        assert_eq!(result("NET_RAW", "all"), CapabilitySet::NET_RAW);
        assert_eq!(result("ALL", ""), more | CapabilitySet::SYS_ADMIN);
        assert!(!result("ALL", "SYS_ADMIN").contains(CapabilitySet::SYS_ADMIN));
        // An added capability stays, as in Docker.
        assert!(result("CHOWN", "CHOWN").contains(CapabilitySet::CHOWN));
    }

    #[test]
    fn a_capability_that_is_unknown_or_not_available_is_refused() {
        let error = |add: &str, drop: &str| {
            let result = capabilities(&texts(add), &texts(drop), DEFAULT_CAPABILITIES);
            result.unwrap_err().to_string()
        };
        assert!(error("FLY", "").starts_with("--cap-add FLY: "));
        assert!(error("", "CAP_").starts_with("--cap-drop CAP_: "));
        assert!(error("sys_admin", "").starts_with("--cap-add SYS_ADMIN: "));
    }

    #[test]
    fn a_container_cannot_change_the_machine() {
        let denied = CapabilitySet::MKNOD
            | CapabilitySet::SYS_ADMIN
            | CapabilitySet::SYS_RAWIO
            | CapabilitySet::SYS_MODULE
            | CapabilitySet::SYS_PTRACE
            | CapabilitySet::DAC_READ_SEARCH;
        let mut security = Security::default();
        assert!(!security.first_capabilities().intersects(denied));
        security.no_new_privileges = false;
        let first = security.first_capabilities();
        assert_eq!(first & denied, CapabilitySet::SYS_ADMIN);
    }

    #[test]
    fn a_security_option_is_read_as_docker_reads_it() {
        let applied = |text: &str| {
            let mut security = Security::default();
            security_option(text, &mut security).map(|()| security)
        };
        for text in ["seccomp=unconfined", "seccomp:unconfined"] {
            assert_eq!(applied(text).unwrap().seccomp, Seccomp::Unconfined);
        }
        assert_eq!(
            applied("seccomp=./a=b.json").unwrap().seccomp,
            Seccomp::Profile("./a=b.json".into())
        );
        assert_eq!(applied("no-new-privileges").unwrap(), Security::default());
        for text in ["no-new-privileges=false", "no-new-privileges:false"] {
            assert!(!applied(text).unwrap().no_new_privileges);
        }
        for text in [
            "",
            "seccomp",
            "seccomp=",
            "label=disable",
            "no-new-privileges=1",
        ] {
            assert!(applied(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_ulimit_is_read_as_docker_reads_it() {
        let kind = |text| {
            let (ulimit, limits) = ulimit(text).unwrap();
            (ulimit.resource().unwrap(), limits)
        };
        assert_eq!(kind("nofile=10:20"), (Resource::Nofile, (10, 20)));
        assert_eq!(kind("core=0"), (Resource::Core, (0, 0)));
        assert_eq!(
            kind("memlock=-1:-1"),
            (Resource::Memlock, (u64::MAX, u64::MAX))
        );
        for text in [
            "nofile",
            "nofile=",
            "nofile=2:1",
            "nofile=-1:5",
            "nofile=a",
            "files=1",
            "nofile=-2",
        ] {
            assert!(ulimit(text).is_err(), "{text}");
        }
    }
}
