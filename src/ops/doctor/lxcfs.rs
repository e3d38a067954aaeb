//! lxcfs, which serves files of the same names.

use super::{Finding, Level};
use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::FS_TYPE,
    },
    facts::engines::{HookMethod, PACKAGES},
    inject::install::{self, LxcHooks},
};
use std::path::{Path, PathBuf};

/// The state of lxcfs.
#[derive(Debug, Default)]
pub(super) struct LxcfsState {
    /// The mount points at which lxcfs serves.
    points: Vec<PathBuf>,
    /// The mount points at which lxcfs serves below the view.
    covered: Vec<PathBuf>,
    /// The directory in which LXC has lxcfs's hook and Plimsoll's hook, if there is one.
    both_hooks_in: Option<&'static str>,
}

pub(super) fn read(root: &Path, mounts: &[Mount]) -> LxcfsState {
    let visible = mountinfo::visible(mounts);
    let is_root = |mount: &&Mount| mount.root == Path::new("/");
    let lxcfs = mounts.iter().filter(|mount| mount.kind == "fuse.lxcfs");
    let lxcfs = lxcfs.filter(is_root).map(|mount| mount.point.clone());
    let is_ours = |point: &PathBuf| {
        let mut ours = visible.iter().filter(|mount| mount.kind == FS_TYPE);
        ours.any(|mount| mount.point == *point)
    };
    let (covered, points) = lxcfs.partition(is_ours);
    let mut directories = PACKAGES.iter().filter_map(|package| match package.hook {
        HookMethod::LxcInclude { directory, .. } => Some(directory),
        _ => None,
    });
    let both = LxcHooks {
        has_ours: true,
        has_lxcfs: true,
    };
    LxcfsState {
        points,
        covered,
        both_hooks_in: directories.find(|directory| install::lxc_hooks(root, directory) == both),
    }
}

pub(super) fn find(lxcfs: &LxcfsState) -> Vec<Finding> {
    let mut found = Vec::new();
    for point in &lxcfs.points {
        let text = format!(
            "lxcfs serves {}: containers of LXC and Incus see the files of lxcfs, not Plimsoll's",
            point.display()
        );
        let fix = "install the package plimsoll-lxcfs in the place of lxcfs";
        found.push(Finding::new(Level::Note, "lxcfs", text).fix(fix));
    }
    for point in &lxcfs.covered {
        let text = format!(
            "lxcfs runs below the view at {}, for the containers that were started with its files",
            point.display()
        );
        let fix = "restart these containers at a good time; lxcfs is gone after the next boot";
        found.push(Finding::new(Level::Note, "lxcfs", text).fix(fix));
    }
    if let Some(directory) = lxcfs.both_hooks_in {
        let text = "LXC has the hooks of both lxcfs and Plimsoll: a container sees the files of one of them, by chance";
        let fix = format!("remove one of the two hooks from {directory}");
        found.push(Finding::new(Level::Warning, "lxcfs", text).fix(fix));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lxcfs_alone_is_noted_and_both_hooks_are_warned_of() {
        let lxcfs = LxcfsState {
            points: vec!["/var/lib/lxcfs".into()],
            covered: Vec::new(),
            both_hooks_in: Some("/usr/share/lxc/config/common.conf.d"),
        };
        let levels: Vec<Level> = find(&lxcfs).iter().map(|found| found.level).collect();
        assert_eq!(levels, [Level::Note, Level::Warning]);
        assert_eq!(find(&LxcfsState::default()), []);
    }

    #[test]
    fn lxcfs_below_the_view_serves_only_the_containers_that_have_its_files() {
        let lxcfs = "30 24 0:32 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw\n";
        let ours = "31 30 0:33 / /var/lib/lxcfs rw - fuse.plimsoll plimsoll:/var/lib/plimsoll rw\n";
        let mounts: Vec<Mount> = mountinfo::parse(&format!("{lxcfs}{ours}")).collect();
        let state = read(Path::new("/nowhere"), &mounts);
        assert!(state.points.is_empty());
        assert_eq!(state.covered, [Path::new("/var/lib/lxcfs")]);
    }
}
