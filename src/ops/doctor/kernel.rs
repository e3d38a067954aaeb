//! The kernel's version, and what it has that older ones have not.

use super::{Finding, Level, text};
use std::path::Path;

/// The first version on which the daemon runs.
const NEEDED: Version = Version(5, 12);

/// What later versions have, as long as they have it and where they have not.
const LATER: [(Version, &str, &str); 2] = [
    (
        Version(6, 5),
        "a dead file in a container is replaced at once",
        "before Linux 6.5 a dead file in a container is covered by a living one, not replaced",
    ),
    (
        Version(6, 9),
        "what a dead daemon left unanswered is given out again",
        "before Linux 6.9 a read that a dying daemon has taken fails with EINTR",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

impl Version {
    /// The version that a release (`6.12.9+deb13-amd64`) is of.
    pub(super) fn of(release: &str) -> Option<Version> {
        let mut parts = release.split(|letter: char| !letter.is_ascii_digit());
        Some(Version(
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        ))
    }
}

/// The kernel's release.
pub(super) fn read(root: &Path) -> String {
    text(root, "proc/sys/kernel/osrelease").unwrap_or_default()
}

pub(super) fn find(release: &str) -> Vec<Finding> {
    let Some(version) = Version::of(release) else {
        let text = format!("cannot make sense of its release, {release:?}");
        return vec![Finding::new(Level::Warning, "kernel", text)];
    };
    if version < NEEDED {
        let text = format!("Linux {release} is too old: it has to be 5.12 or later");
        return vec![Finding::new(Level::Error, "kernel", text).fix("install a newer kernel")];
    }
    let has: Vec<&str> = LATER
        .iter()
        .filter_map(|(since, has, _)| (version >= *since).then_some(*has))
        .collect();
    let text = match has.is_empty() {
        true => format!("Linux {release}"),
        false => format!("Linux {release}: {}", has.join(", ")),
    };
    let lacks = LATER.iter().filter(|(since, ..)| version < *since);
    let lacks = lacks.map(|(_, _, lacks)| Finding::new(Level::Note, "kernel", *lacks));
    std::iter::once(Finding::new(Level::Ok, "kernel", text))
        .chain(lacks)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(release: &str) -> Vec<Level> {
        find(release).iter().map(|found| found.level).collect()
    }

    #[test]
    fn what_an_older_kernel_lacks_is_noted() {
        use Level::{Error, Note, Ok, Warning};
        assert_eq!(levels("6.18.44-fc-v782"), [Ok]);
        assert_eq!(levels("6.8.0-31-generic"), [Ok, Note]);
        assert_eq!(levels("6.1.0-41-cloud-amd64"), [Ok, Note, Note]);
        assert_eq!(levels("5.12"), [Ok, Note, Note]);
        assert_eq!(levels("5.10.0-30-amd64"), [Error]);
        assert_eq!(levels("mine"), [Warning]);
    }
}
