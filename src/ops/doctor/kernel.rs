//! The kernel's version, and the features that older versions lack.

use super::{Finding, Level, files::text};
use std::path::Path;

/// The first version on which the daemon runs.
const MIN_VERSION: KernelVersion = KernelVersion(5, 12);

/// The features of later versions: the first version that has each, with the texts for kernels that
/// have the feature and for kernels that lack it.
const FEATURES: [(KernelVersion, &str, &str); 2] = [
    (
        KernelVersion(6, 5),
        "a dead file in a container is replaced at once",
        "before Linux 6.5 a dead file in a container is covered by a living one, not replaced",
    ),
    (
        KernelVersion(6, 9),
        "requests that a dead daemon left unanswered are sent again",
        "before Linux 6.9 a read that a dying daemon has taken fails with EINTR",
    ),
];

/// A version of Linux: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelVersion(pub(super) u32, pub(super) u32);

impl KernelVersion {
    /// Parses the version in a release (`6.12.9+deb13-amd64`).
    fn parse(release: &str) -> Option<KernelVersion> {
        let mut parts = release.split(|letter: char| !letter.is_ascii_digit());
        Some(KernelVersion(
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        ))
    }
}

/// Reads the kernel's release; an empty text where there is none.
pub(super) fn read(root: &Path) -> String {
    text(root, "proc/sys/kernel/osrelease").unwrap_or_default()
}

pub(super) fn find(release: &str) -> Vec<Finding> {
    let Some(version) = KernelVersion::parse(release) else {
        let text = format!("cannot parse the kernel's release {release:?}");
        return vec![Finding::new(Level::Warning, "kernel", text)];
    };
    if version < MIN_VERSION {
        let text = format!("Linux {release} is too old: Plimsoll needs 5.12 or later");
        return vec![Finding::new(Level::Error, "kernel", text).fix("install a newer kernel")];
    }
    let has: Vec<&str> = FEATURES
        .iter()
        .filter_map(|(since, has, _)| (version >= *since).then_some(*has))
        .collect();
    let text = match has.is_empty() {
        true => format!("Linux {release}"),
        false => format!("Linux {release}: {}", has.join(", ")),
    };
    let lacks = FEATURES.iter().filter(|(since, ..)| version < *since);
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
