//! What an administrator may have set that hurts.

use super::{Finding, Level, text};
use std::path::Path;

/// Sysctls with a bound below which something fails, and what.
const BOUNDS: [(&str, u64, &str); 4] = [
    (
        "user.max_mnt_namespaces",
        100,
        "engines cannot start containers beyond that",
    ),
    (
        "user.max_pid_namespaces",
        100,
        "engines cannot start containers beyond that",
    ),
    (
        "user.max_time_namespaces",
        1,
        "a container's clocks cannot begin with it, and ps shows the machine's times",
    ),
    (
        "fs.mount-max",
        1000,
        "a container with many volumes has no room for the view's files",
    ),
];

#[derive(Debug, Default)]
pub(super) struct Settings {
    sysctls: Vec<(&'static str, u64)>,
    /// Whether SELinux enforces.
    is_selinux_enforcing: bool,
}

pub(super) fn read(root: &Path) -> Settings {
    let sysctls = BOUNDS.iter().filter_map(|(name, ..)| {
        let value = text(root, &format!("proc/sys/{}", name.replace('.', "/")))?;
        Some((*name, value.parse().ok()?))
    });
    Settings {
        sysctls: sysctls.collect(),
        is_selinux_enforcing: text(root, "sys/fs/selinux/enforce").is_some_and(|text| text == "1"),
    }
}

pub(super) fn find(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, least, fails) in BOUNDS {
        let value = settings.sysctls.iter().find(|(other, _)| *other == name);
        if let Some((_, value)) = value.filter(|(_, value)| *value < least) {
            let text = format!("{name} is {value}: {fails}");
            let fix = format!("sysctl -w {name}=100000, and in /etc/sysctl.d");
            found.push(Finding::new(Level::Warning, "settings", text).fix(fix));
        }
    }
    if settings.is_selinux_enforcing {
        let text = "SELinux enforces: its policy may forbid containers to read files of FUSE";
        let fix =
            "look for denials: ausearch -m avc -ts recent; setsebool -P virt_sandbox_use_fusefs 1";
        found.push(Finding::new(Level::Warning, "selinux", text).fix(fix));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_hurt_are_warned_of_and_others_are_not() {
        let settings = Settings {
            sysctls: vec![("user.max_mnt_namespaces", 0), ("fs.mount-max", 100_000)],
            is_selinux_enforcing: true,
        };
        let subjects: Vec<String> = find(&settings).into_iter().map(|f| f.subject).collect();
        assert_eq!(subjects, ["settings", "selinux"]);
        assert_eq!(find(&Settings::default()), []);
    }
}
