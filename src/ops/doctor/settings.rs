//! Settings of the machine that harm the views or the engines.

use super::{Finding, Level, files::text};
use std::path::Path;

/// Sysctls, each with the least value that does no harm, and with the harm of a lower one.
const MIN_VALUES: [(&str, u64, &str); 4] = [
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
        "a container cannot have clocks of its own, and ps shows the machine's times",
    ),
    (
        "fs.mount-max",
        1000,
        "a container with many volumes has no room for the view's files",
    ),
];

/// The settings of the machine.
#[derive(Debug, Default)]
pub(super) struct SystemSettings {
    sysctls: Vec<(&'static str, u64)>,
}

pub(super) fn read(root: &Path) -> SystemSettings {
    let sysctls = MIN_VALUES.iter().filter_map(|(name, ..)| {
        let value = text(root, &format!("proc/sys/{}", name.replace('.', "/")))?;
        Some((*name, value.parse().ok()?))
    });
    SystemSettings {
        sysctls: sysctls.collect(),
    }
}

pub(super) fn find(settings: &SystemSettings) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, min, harm) in MIN_VALUES {
        let value = settings.sysctls.iter().find(|(other, _)| *other == name);
        if let Some((_, value)) = value.filter(|(_, value)| *value < min) {
            let text = format!("{name} is {value}: {harm}");
            let fix = format!("sysctl -w {name}=100000, and in /etc/sysctl.d");
            found.push(Finding::new(Level::Warning, "settings", text).fix(fix));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_hurt_are_warned_of_and_others_are_not() {
        let settings = SystemSettings {
            sysctls: vec![("user.max_mnt_namespaces", 0), ("fs.mount-max", 100_000)],
        };
        let subjects: Vec<String> = find(&settings).into_iter().map(|f| f.subject).collect();
        assert_eq!(subjects, ["settings"]);
        assert_eq!(find(&SystemSettings::default()), []);
    }
}
