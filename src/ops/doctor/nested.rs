//! Containers in which user namespaces cannot mount a procfs or a sysfs because of Plimsoll's files.

use super::{Finding, Level, finding::command_for};
use crate::{
    base::mountinfo::Mount,
    inject::{
        Below,
        uncovered::{Whole, lacking},
    },
};
use std::path::Path;

/// Judges the mounts of the container that is shown by that name.
pub(super) fn judge(shown: &str, mounts: &[Mount]) -> Option<Finding> {
    let whole = Whole {
        mounts,
        root: Path::new("/"),
        later: &[],
    };
    let names = lacking(whole, &[])
        .into_iter()
        .map(|(below, _)| match below {
            Below::Proc => "/proc",
            Below::Sys => "/sys",
        });
    let names: Vec<&str> = names.collect();
    let text = format!(
        "user namespaces in container {shown} cannot mount their own {}: our files cover the container's",
        names.join(" and ")
    );
    let fix = command_for("attach", shown);
    (!names.is_empty()).then(|| Finding::new(Level::Warning, "containers", text).fix(fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;

    #[test]
    fn a_container_whose_only_procfs_our_files_cover_is_named_with_the_fix() {
        let proc = "11 10 0:51 / /proc rw - proc proc rw\n";
        let ours = "20 11 0:60 /7/proc/stat /proc/stat ro - fuse.plimsoll plimsoll:/v rw\n";
        let judged = |text: &str| judge("web", &mountinfo::parse(text).collect::<Vec<_>>());
        assert_eq!(judged(proc), None);
        let said = judged(&format!("{proc}{ours}")).unwrap().line();
        assert!(
            said.contains("container web cannot mount their own /proc:"),
            "{said}"
        );
        assert!(said.ends_with("-> plimsoll attach web"), "{said}");
        let copy = "21 20 0:51 / /sys/devices/system/cpu/proc rw - proc proc rw\n";
        assert_eq!(judged(&format!("{proc}{ours}{copy}")), None);
    }
}
