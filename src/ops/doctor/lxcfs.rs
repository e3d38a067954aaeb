//! lxcfs, which serves files of the same names.

use super::{Finding, Level};
use crate::{
    base::mountinfo::Mount,
    facts::engines::{HookMethod, PACKAGES},
    inject::install::{self, LxcHooks},
};
use std::path::{Path, PathBuf};

/// The state of lxcfs.
#[derive(Debug, Default)]
pub(super) struct LxcfsState {
    /// The mount points at which lxcfs serves.
    points: Vec<PathBuf>,
    /// The directory in which LXC has lxcfs's hook and Plimsoll's hook, if there is one.
    both_hooks_in: Option<&'static str>,
}

pub(super) fn read(root: &Path, mounts: &[Mount]) -> LxcfsState {
    let lxcfs = mounts.iter().filter(|mount| mount.kind == "fuse.lxcfs");
    let mut directories = PACKAGES.iter().filter_map(|package| match package.hook {
        HookMethod::LxcInclude { directory, .. } => Some(directory),
        _ => None,
    });
    let both = LxcHooks {
        has_ours: true,
        has_lxcfs: true,
    };
    LxcfsState {
        points: lxcfs
            .filter(|mount| mount.root == Path::new("/"))
            .map(|mount| mount.point.clone())
            .collect(),
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
        let fix = format!(
            "systemctl disable --now lxcfs, then plimsoll daemon {}",
            point.display()
        );
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
            both_hooks_in: Some("/usr/share/lxc/config/common.conf.d"),
        };
        let levels: Vec<Level> = find(&lxcfs).iter().map(|found| found.level).collect();
        assert_eq!(levels, [Level::Note, Level::Warning]);
        assert_eq!(find(&LxcfsState::default()), []);
    }
}
