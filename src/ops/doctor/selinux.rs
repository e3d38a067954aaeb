//! SELinux: the label of the view's files, which decides on the programs that may read them.

use super::{Finding, Level, files::text};
use crate::base::{mountinfo::Mount, paths::FS_TYPE};
use std::path::Path;

/// The state of SELinux on the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct SelinuxState {
    /// SELinux enforces its policy, and does not only log what the policy forbids.
    is_enforcing: bool,
    /// Every mount of the view has a label of its own. Without one the policy decides on the files
    /// as on those of any FUSE file system.
    is_labelled: bool,
}

/// Reads the state. Returns `None` where SELinux is off, or where no view is mounted.
pub(super) fn read(root: &Path, mountpoint: &Path, mounts: &[Mount]) -> Option<SelinuxState> {
    let enforce = text(root, "sys/fs/selinux/enforce")?;
    let is_view = |mount: &&Mount| mount.kind == FS_TYPE && mount.point.starts_with(mountpoint);
    let mut views = mounts.iter().filter(is_view).peekable();
    views.peek()?;
    let is_labelled = |mount: &Mount| mount.options.iter().any(|one| one.starts_with("context="));
    Some(SelinuxState {
        is_enforcing: enforce == "1",
        is_labelled: views.all(is_labelled),
    })
}

pub(super) fn find(selinux: SelinuxState) -> Finding {
    if selinux.is_labelled {
        let text = "the view has the label of the kernel's files";
        return Finding::new(Level::Ok, "selinux", text);
    }
    let level = match selinux.is_enforcing {
        true => Level::Warning,
        false => Level::Note,
    };
    let text = "the view has the label of FUSE: the policy may forbid a program that may read /proc to read the view";
    let fix = "systemctl stop plimsoll; systemctl start plimsoll; plimsoll attach --all; if that does not help, \
        let the daemon's domain mount with the label of /proc: ausearch -m avc -c plimsoll";
    Finding::new(level, "selinux", text).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;
    use std::fs;

    fn level(enforce: Option<&str>, second: &str) -> Option<Level> {
        let root = tempfile::tempdir().unwrap();
        if let Some(enforce) = enforce {
            fs::create_dir_all(root.path().join("sys/fs/selinux")).unwrap();
            fs::write(root.path().join("sys/fs/selinux/enforce"), enforce).unwrap();
        }
        let text = format!(
            "26 24 0:30 / /v rw - fuse.plimsoll plimsoll:/v rw,context=\"system_u:object_r:proc_t:s0\",user_id=0\n\
             27 26 0:31 / /v/containers ro - fuse.plimsoll plimsoll:/v {second}\n\
             28 24 0:32 / /other ro - fuse.plimsoll plimsoll:/other rw\n"
        );
        let mounts: Vec<Mount> = mountinfo::parse(&text).collect();
        read(root.path(), Path::new("/v"), &mounts).map(|state| find(state).level)
    }

    #[test]
    fn a_view_without_the_label_of_proc_is_found_where_selinux_is_on() {
        let labelled = "ro,context=\"system_u:object_r:proc_t:s0:c1,c2\"";
        assert_eq!(level(Some("1"), labelled), Some(Level::Ok));
        assert_eq!(level(Some("1"), "ro,user_id=0"), Some(Level::Warning));
        assert_eq!(level(Some("0"), "ro,user_id=0"), Some(Level::Note));
        assert_eq!(level(None, "ro,user_id=0"), None);
    }

    #[test]
    fn a_machine_without_a_view_has_no_label_to_judge() {
        let root = tempfile::tempdir().unwrap();
        assert!(read(root.path(), Path::new("/v"), &[]).is_none());
    }
}
