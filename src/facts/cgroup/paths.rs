//! Pure. The path of a container in each hierarchy.

use std::path::{Path, PathBuf};

/// The path of a container in the hierarchy of each controller, from the root of that hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Paths {
    pub(super) memory: PathBuf,
    pub(super) cpu: PathBuf,
    pub(super) cpuacct: PathBuf,
    pub(super) cpuset: PathBuf,
    pub(super) io: PathBuf,
    pub(super) hugetlb: PathBuf,
    pub(super) home: PathBuf,
}

impl Paths {
    /// Returns paths that are the same in every hierarchy.
    #[must_use]
    pub fn at(path: &Path) -> Paths {
        Paths {
            memory: path.to_owned(),
            cpu: path.to_owned(),
            cpuacct: path.to_owned(),
            cpuset: path.to_owned(),
            io: path.to_owned(),
            hugetlb: path.to_owned(),
            home: path.to_owned(),
        }
    }

    /// Tells whether `other` is the same cgroup or lies below it, in the hierarchy that gives the keys.
    #[must_use]
    pub fn holds(&self, other: &Paths) -> bool {
        other.home.starts_with(&self.home)
    }

    /// Returns the path in the hierarchy that gives the keys.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.home
    }

    /// Returns the container's own cgroup for an init that systemd has moved into `init.scope` below
    /// it; other paths stay.
    #[must_use]
    pub fn out_of_init_scope(self) -> Paths {
        if self.home.file_name() != Some("init.scope".as_ref()) {
            return self;
        }
        match self.home.parent().map(Path::to_owned) {
            Some(parent) => self.clone().up_to(&parent).unwrap_or(self),
            None => self,
        }
    }

    /// Returns the paths of the container at `path`, from the paths of one of its processes: as many
    /// steps up in every hierarchy in which these steps have the same names.
    ///
    /// `None` if the process does not lie below `path`.
    #[must_use]
    pub fn up_to(self, path: &Path) -> Option<Paths> {
        let steps = self.home.strip_prefix(path).ok()?.to_owned();
        let up = |path: PathBuf| match path.ends_with(&steps) {
            true => path
                .ancestors()
                .nth(steps.components().count())
                .map(Path::to_owned),
            false => Some(path),
        };
        Some(Paths {
            memory: up(self.memory)?,
            cpu: up(self.cpu)?,
            cpuacct: up(self.cpuacct)?,
            cpuset: up(self.cpuset)?,
            io: up(self.io)?,
            hugetlb: up(self.hugetlb)?,
            home: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(home: &str, cpu: &str) -> Paths {
        Paths {
            memory: home.into(),
            cpu: cpu.into(),
            cpuacct: cpu.into(),
            cpuset: "/".into(),
            io: "/".into(),
            hugetlb: "/".into(),
            home: home.into(),
        }
    }

    #[test]
    fn a_process_deep_inside_leads_up_to_its_container_in_every_hierarchy() {
        let inside = place("/box/system.slice/x", "/other/system.slice/x");
        assert_eq!(inside.up_to("/box".as_ref()), Some(place("/box", "/other")));
    }

    #[test]
    fn a_hierarchy_that_goes_its_own_way_is_left_as_it_is() {
        let inside = place("/box/a", "/elsewhere");
        assert_eq!(
            inside.up_to("/box".as_ref()),
            Some(place("/box", "/elsewhere"))
        );
    }

    #[test]
    fn a_process_elsewhere_does_not_lead_to_the_container() {
        assert_eq!(place("/boxes/a", "/").up_to("/box".as_ref()), None);
    }

    #[test]
    fn init_scope_is_not_the_container() {
        let init = place("/box/init.scope", "/box/init.scope");
        assert_eq!(init.out_of_init_scope(), place("/box", "/box"));
        assert_eq!(place("/box", "/x").out_of_init_scope(), place("/box", "/x"));
    }

    #[test]
    fn a_place_holds_what_is_below_it_by_whole_names() {
        assert!(place("/a", "/").holds(&place("/a/b", "/")));
        assert!(!place("/a", "/").holds(&place("/ab", "/")));
    }
}
