//! lxcfs, which serves the same files.

use super::{Finding, Level, engines};
use crate::base::mountinfo::Mount;
use std::path::{Path, PathBuf};

#[derive(Debug, Default)]
pub(super) struct Rivals {
    /// Where lxcfs serves.
    points: Vec<PathBuf>,
    /// Whether LXC has lxcfs's hook and ours.
    has_both_hooks: bool,
}

pub(super) fn read(root: &Path, mounts: &[Mount]) -> Rivals {
    let lxcfs = mounts.iter().filter(|mount| mount.kind == "fuse.lxcfs");
    let hooks = root.join(engines::LXC_HOOKS.trim_start_matches('/'));
    Rivals {
        points: lxcfs
            .filter(|mount| mount.root == Path::new("/"))
            .map(|mount| mount.point.clone())
            .collect(),
        has_both_hooks: engines::has_file_with(&hooks, "lxcfs/lxc.mount.hook")
            && engines::has_file_with(&hooks, "plimsoll"),
    }
}

pub(super) fn find(rivals: &Rivals) -> Vec<Finding> {
    let mut found = Vec::new();
    for point in &rivals.points {
        let text = format!(
            "lxcfs serves {}: LXC and Incus containers see its files, not Plimsoll's",
            point.display()
        );
        let fix = format!(
            "systemctl disable --now lxcfs, then plimsoll daemon {}",
            point.display()
        );
        found.push(Finding::new(Level::Note, "lxcfs", text).fix(fix));
    }
    if rivals.has_both_hooks {
        let text = "LXC has the hook of lxcfs and that of Plimsoll: which files a container sees is chance";
        let fix = format!("take one of the two out of {}", engines::LXC_HOOKS);
        found.push(Finding::new(Level::Warning, "lxcfs", text).fix(fix));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lxcfs_alone_is_noted_and_both_hooks_are_warned_of() {
        let rivals = Rivals {
            points: vec!["/var/lib/lxcfs".into()],
            has_both_hooks: true,
        };
        let levels: Vec<Level> = find(&rivals).iter().map(|found| found.level).collect();
        assert_eq!(levels, [Level::Note, Level::Warning]);
        assert_eq!(find(&Rivals::default()), []);
    }
}
