//! Pure. Where a process stands in each hierarchy.

use std::path::PathBuf;

/// `/proc/PID/cgroup`: where a process stands in each hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    hierarchies: Vec<(String, PathBuf)>,
}

impl Membership {
    /// Reads the lines `ID:CONTROLLERS:PATH`; a path may hold colons.
    #[must_use]
    pub fn parse(text: &str) -> Membership {
        let hierarchies = text
            .lines()
            .filter_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let controllers = parts.next()?.to_owned();
                // cgroup_show_path: a cgroup that was removed under a zombie is marked so.
                let path = parts.next()?;
                let path = path.strip_suffix(" (deleted)").unwrap_or(path);
                Some((controllers, path.into()))
            })
            .collect();
        Membership { hierarchies }
    }

    /// The path in the v1 hierarchy that has `controller`.
    #[must_use]
    pub fn v1(&self, controller: &str) -> Option<&PathBuf> {
        self.hierarchies
            .iter()
            .find(|(controllers, _)| controllers.split(',').any(|name| name == controller))
            .map(|(_, path)| path)
    }

    /// The path in the v2 hierarchy.
    #[must_use]
    pub fn v2(&self) -> Option<&PathBuf> {
        self.hierarchies
            .iter()
            .find(|(controllers, _)| controllers.is_empty())
            .map(|(_, path)| path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_membership_names_each_hierarchy() {
        let text = "4:cpu,cpuacct:/a:b\n3:name=systemd:/s\n0::/u (deleted)\n";
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
