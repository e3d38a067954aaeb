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
    /// The path in the hierarchy whose inode numbers are the keys.
    pub(super) key_path: PathBuf,
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
            key_path: path.to_owned(),
        }
    }

    /// Returns true if `other` is the same cgroup or a descendant of it, in the hierarchy whose inode
    /// numbers are the keys.
    #[must_use]
    pub fn contains(&self, other: &Paths) -> bool {
        other.key_path.starts_with(&self.key_path)
    }

    /// Returns the path in the hierarchy whose inode numbers are the keys.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.key_path
    }

    /// Returns the paths of the parent cgroup if the cgroup is named `init.scope`, into which
    /// systemd as a container's init moves itself; else returns the paths unchanged.
    #[must_use]
    pub fn out_of_init_scope(self) -> Paths {
        if self.key_path.file_name() != Some("init.scope".as_ref()) {
            return self;
        }
        match self.key_path.parent().map(Path::to_owned) {
            Some(parent) => self.clone().up_to(&parent).unwrap_or(self),
            None => self,
        }
    }

    /// Returns the paths of the container at `path`, from the paths of one of its processes. Removes
    /// the part below `path` from the path of each hierarchy that ends in that part.
    ///
    /// `None` if the cgroup of the process is not `path` or a descendant of it.
    #[must_use]
    pub fn up_to(self, path: &Path) -> Option<Paths> {
        let steps = self.key_path.strip_prefix(path).ok()?.to_owned();
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
            key_path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, cpu: &str) -> Paths {
        Paths {
            memory: path.into(),
            cpu: cpu.into(),
            cpuacct: cpu.into(),
            cpuset: "/".into(),
            io: "/".into(),
            hugetlb: "/".into(),
            key_path: path.into(),
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
    fn paths_contain_paths_below_them_by_whole_names() {
        assert!(place("/a", "/").contains(&place("/a/b", "/")));
        assert!(!place("/a", "/").contains(&place("/ab", "/")));
    }
}
