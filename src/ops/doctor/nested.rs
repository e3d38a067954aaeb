//! Containers in which user namespaces cannot mount a procfs or a sysfs because of Plimsoll's files.

use super::{Finding, Level};
use crate::{
    base::mountinfo::{self, Mount},
    facts::engines,
    inject::{
        Below,
        uncovered::{Whole, lacking},
    },
};
use std::path::Path;

/// Examines every container of the machine. Finds nothing where the containers cannot be listed,
/// which another finding says.
pub(super) fn find() -> Vec<Finding> {
    let all = engines::all(Path::new("/")).unwrap_or_default();
    let found = all.iter().filter_map(|container| {
        let mounts = mountinfo::of(container.pid).ok()?;
        judge(container.shown(), &mounts)
    });
    found.collect()
}

fn judge(shown: &str, mounts: &[Mount]) -> Option<Finding> {
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
    let fix = format!("plimsoll attach {shown}");
    (!names.is_empty()).then(|| Finding::new(Level::Warning, "containers", text).fix(fix))
}

#[cfg(test)]
mod tests {
    use super::*;

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
