//! The limits of the command by `setrlimit(2)`, and what the command's end tells about them.
//!
//! The command alone gets the limits. The start of a container and its process 1 open files and
//! map memory, which a low limit would forbid.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    base::{output::complain, sys::process},
    run::{error::RunError, options::security::Ulimit},
};

/// The number of memory below which a limit of memory may keep a program from its start, in bytes.
const MIN_START_MEMORY: u64 = 16 << 20;

/// The number of descriptors below which a limit may keep a program from its start.
const MIN_START_DESCRIPTORS: u64 = 8;

/// The exit status of a dynamic linker that cannot open a library.
const NO_LIBRARY: u8 = 127;

/// The limits of the command.
#[derive(Debug)]
pub(crate) struct CommandLimits(Vec<CommandLimit>);

#[derive(Debug, Clone, Copy)]
struct CommandLimit {
    name: &'static str,
    resource: Resource,
    limits: Rlimit,
}

impl CommandLimits {
    /// Returns the limits of the options, and raises the hard limits of this process to them: the
    /// command lacks the capability.
    ///
    /// # Errors
    ///
    /// A limit that the kernel does not allow, with the option and the maximum.
    pub(crate) fn prepare(
        options: &BTreeMap<Ulimit, (u64, u64)>,
    ) -> Result<CommandLimits, RunError> {
        let limits = options.iter().filter_map(|(ulimit, limits)| {
            Some(CommandLimit {
                name: ulimit.name()?,
                resource: ulimit.resource()?,
                limits: rlimit(*limits),
            })
        });
        let limits: Vec<CommandLimit> = limits.collect();
        limits.iter().try_for_each(CommandLimit::raise_own)?;
        Ok(CommandLimits(limits))
    }

    /// Limits the calling process, which becomes the command. Prints a limit that is refused.
    ///
    /// # Errors
    ///
    /// A limit that is refused.
    pub(crate) fn apply(&self) -> Result<(), rustix::io::Errno> {
        for limit in &self.0 {
            setrlimit(limit.resource, limit.limits).inspect_err(|error| {
                let name = limit.name;
                complain(&format!(
                    "cannot set --ulimit {name}: {error} (a profile of --security-opt seccomp must allow prlimit64)"
                ));
            })?;
        }
        Ok(())
    }

    /// Returns the sentence about the limit that may have ended a command with that status; `None`
    /// if no limit is known to.
    pub(crate) fn blamed(&self, status: u8) -> Option<String> {
        let died_by = |signal| i32::from(status) == 128 + process::number(signal);
        let find = |resources: &[Resource], below: u64| {
            let mut all = self.0.iter();
            all.find(|it| {
                let is_low = it.limits.current.is_some_and(|limit| limit < below);
                resources.contains(&it.resource) && is_low
            })
        };
        let memory = [Resource::As, Resource::Data, Resource::Stack];
        let cpu = || find(&[Resource::Cpu], u64::MAX);
        let memory = || find(&memory, MIN_START_MEMORY);
        let little = "may have had too little memory for its start because";
        let (limit, what) = if died_by(Signal::SIGXCPU) {
            (cpu()?, "has used the CPU time")
        } else if died_by(Signal::SIGXFSZ) {
            let limit = find(&[Resource::Fsize], u64::MAX)?;
            (limit, "has written a file to the size")
        } else if died_by(Signal::SIGSEGV) {
            (memory()?, little)
        } else if died_by(Signal::SIGKILL) {
            // The kernel kills at a hard limit of CPU time.
            let memory = memory().map(|limit| (limit, little));
            memory.or_else(|| Some((cpu()?, "may have used the CPU time")))?
        } else if status == NO_LIBRARY {
            let limit = find(&[Resource::Nofile], MIN_START_DESCRIPTORS)?;
            (
                limit,
                "may have had too few descriptors for its start because",
            )
        } else {
            return None;
        };
        let soft = limit.limits.current.unwrap_or_default();
        Some(format!(
            "the command {what} of --ulimit {}={soft}",
            limit.name
        ))
    }
}

impl CommandLimit {
    /// Raises the hard limit of this process to that of the command.
    fn raise_own(&self) -> Result<(), RunError> {
        let own = getrlimit(self.resource);
        let is_enough = match (self.limits.maximum, own.maximum) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(wanted), Some(own)) => wanted <= own,
        };
        if is_enough {
            return Ok(());
        }
        let raised = Rlimit {
            current: own.current,
            maximum: self.limits.maximum,
        };
        setrlimit(self.resource, raised).map_err(|_| RunError::Ulimit {
            name: self.name,
            maximum: maximum(self.resource, own.maximum),
        })
    }
}

/// Returns the maximum that the kernel allows this process: of open files another one than the
/// present hard limit.
fn maximum(resource: Resource, own: Option<u64>) -> u64 {
    let files = std::fs::read_to_string("/proc/sys/fs/nr_open").ok();
    let files = files.and_then(|text| text.trim().parse().ok());
    let files = files.filter(|_| resource == Resource::Nofile);
    files.or(own).unwrap_or(u64::MAX)
}

fn rlimit((soft, hard): (u64, u64)) -> Rlimit {
    let limit = |number| (number != u64::MAX).then_some(number);
    Rlimit {
        current: limit(soft),
        maximum: limit(hard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::options::security::ulimit;

    fn blamed(options: &[&str], status: u8) -> Option<String> {
        let options = options.iter().map(|text| ulimit(text).unwrap());
        let options: BTreeMap<_, _> = options.collect();
        CommandLimits::prepare(&options).unwrap().blamed(status)
    }

    #[test]
    fn a_limit_is_blamed_for_the_end_that_it_causes_and_for_no_other() {
        for (option, status) in [
            ("as=1", 139),
            ("stack=0", 137),
            ("data=4096", 139),
            ("cpu=1", 152),
            ("cpu=0", 137),
            ("fsize=0", 153),
            ("nofile=0", 127),
        ] {
            let said = blamed(&["core=0", option], status).unwrap();
            assert!(said.ends_with(&format!(" of --ulimit {option}")), "{said}");
            assert_eq!(blamed(&[option], 0), None, "{option}");
            assert_eq!(blamed(&["core=0"], status), None, "{option}");
        }
        assert_eq!(blamed(&["stack=67108864"], 139), None);
        assert_eq!(blamed(&["nofile=1024"], 127), None);
    }
}
