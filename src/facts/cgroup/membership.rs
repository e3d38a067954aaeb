//! Pure. The cgroup of a process in each hierarchy.

use std::path::{Path, PathBuf};

/// The cgroup of a process in each hierarchy: `/proc/PID/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    hierarchies: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    controllers: String,
    path: PathBuf,
    is_removed: bool,
}

impl Membership {
    /// Parses the lines `ID:CONTROLLERS:PATH`; a path may hold colons. Other lines are left out.
    #[must_use]
    pub fn parse(text: &str) -> Membership {
        let hierarchies = text
            .lines()
            .filter_map(|line| {
                let mut parts = line.splitn(3, ':');
                let _id: u32 = parts.next()?.parse().ok()?;
                let controllers = parts.next()?.to_owned();
                let path = parts.next().filter(|path| path.starts_with('/'))?;
                // cgroup_show_path: a cgroup that was removed under a zombie is marked so.
                let left = path.strip_suffix(" (deleted)");
                Some(Line {
                    controllers,
                    path: left.unwrap_or(path).into(),
                    is_removed: left.is_some(),
                })
            })
            .collect();
        Membership { hierarchies }
    }

    /// Returns the path in the v1 hierarchy that has `controller`.
    #[must_use]
    pub fn v1(&self, controller: &str) -> Option<&PathBuf> {
        let mut lines = self.hierarchies.iter();
        let line = lines.find(|line| line.controllers.split(',').any(|name| name == controller));
        line.map(|line| &line.path)
    }

    /// Returns the path in the v2 hierarchy.
    #[must_use]
    pub fn v2(&self) -> Option<&PathBuf> {
        let mut lines = self.hierarchies.iter();
        let line = lines.find(|line| line.controllers.is_empty());
        line.map(|line| &line.path)
    }

    /// Returns the path in each hierarchy, in the kernel's order, without the cgroups that were
    /// removed.
    pub fn living(&self) -> impl Iterator<Item = &Path> {
        let lines = self.hierarchies.iter().filter(|line| !line.is_removed);
        lines.map(|line| line.path.as_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_membership_names_each_hierarchy() {
        let text =
            "(null)\n:::\n5::\nx::/\n4:cpu,cpuacct:/a:b\n3:name=systemd:/s\n0::/u (deleted)\n";
        let membership = Membership::parse(text);
        assert_eq!(membership.v1("cpuacct"), Some(&PathBuf::from("/a:b")));
        assert_eq!(membership.v1("memory"), None);
        assert_eq!(membership.v2(), Some(&PathBuf::from("/u")));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Membership::parse(&text);
        }
    }
}
