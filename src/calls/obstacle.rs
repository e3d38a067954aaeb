//! Properties of a machine with which no program answers system calls in its kernel.

use super::offsets::Registers;
use crate::{base::sys, facts::host::parse};
use std::{fmt, path::Path};

/// Number of the capability with which a process may load the programs.
const CAP_SYS_ADMIN: u32 = 21;

/// A property with which no program answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The programs do not know in which registers a system call has its arguments.
    Processor,
    /// The kernel does not describe its types.
    NoTypes,
    /// The kernel is locked down, in that mode (`kernel_lockdown(7)`).
    LockedDown(String),
    /// The function tracer is off: programs load, attach and never run.
    TracerOff,
    /// This process lacks `CAP_SYS_ADMIN`.
    NoRight,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Processor => to.write_str("the programs do not know this processor"),
            Obstacle::NoTypes => {
                to.write_str("the kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)")
            }
            Obstacle::LockedDown(mode) => {
                write!(
                    to,
                    "the kernel is locked down ({mode}), as with Secure Boot"
                )
            }
            Obstacle::TracerOff => to.write_str("kernel.ftrace_enabled is 0"),
            Obstacle::NoRight => to.write_str("CAP_SYS_ADMIN is missing"),
        }
    }
}

impl std::error::Error for Obstacle {}

/// Returns the first obstacle on the machine whose root directory is `root`. A file that cannot be read is no
/// obstacle: securityfs, which shows the lockdown, need not be mounted.
#[must_use]
pub fn obstacle(root: &Path) -> Option<Obstacle> {
    if Registers::of_this_machine().is_none() {
        return Some(Obstacle::Processor);
    }
    if !root.join("sys/kernel/btf/vmlinux").exists() {
        return Some(Obstacle::NoTypes);
    }
    let text = |path: &str| sys::read_text(&root.join(path)).unwrap_or_default();
    let status = text("proc/self/status");
    if !status.is_empty() && !parse::has_capability(&status, CAP_SYS_ADMIN) {
        return Some(Obstacle::NoRight);
    }
    if let Some(mode) = lockdown(&text("sys/kernel/security/lockdown")) {
        return Some(Obstacle::LockedDown(mode.to_owned()));
    }
    let tracer = text("proc/sys/kernel/ftrace_enabled");
    (tracer.trim() == "0").then_some(Obstacle::TracerOff)
}

/// Parses the mode of a lockdown from `/sys/kernel/security/lockdown`, where brackets mark it; `None` without a
/// lockdown.
fn lockdown(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    (mode != "none").then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn brackets_mark_the_mode_of_a_lockdown() {
        assert_eq!(
            lockdown("none [integrity] confidentiality\n"),
            Some("integrity")
        );
        assert_eq!(lockdown("[none] integrity confidentiality\n"), None);
        assert_eq!(lockdown(""), None);
    }

    #[test]
    fn a_machine_is_asked_for_each_obstacle_in_turn() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let found = || obstacle(root.path());
        assert_eq!(found(), Some(Obstacle::NoTypes));
        write("sys/kernel/btf/vmlinux", "");
        assert_eq!(found(), None);
        write("proc/sys/kernel/ftrace_enabled", "0\n");
        assert_eq!(found(), Some(Obstacle::TracerOff));
        write(
            "sys/kernel/security/lockdown",
            "none integrity [confidentiality]\n",
        );
        let locked = Obstacle::LockedDown("confidentiality".to_owned());
        assert_eq!(found(), Some(locked));
        write("proc/self/status", "CapEff:\t00000000a80425fb\n");
        assert_eq!(found(), Some(Obstacle::NoRight));
    }
}
