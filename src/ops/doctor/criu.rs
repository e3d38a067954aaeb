//! CRIU, which dumps and restores containers.

use super::{Finding, Level, finding::command_for};
use crate::{
    base::{mountinfo::Mount, paths::UNCOVERED_SOURCE},
    inject::install::CriuState,
};

/// Judges the set-up of CRIU.
pub(super) fn find(state: CriuState) -> Option<Finding> {
    match state {
        CriuState::Absent => None,
        CriuState::Set => {
            let text = "CRIU dumps and restores containers that have the view";
            Some(Finding::new(Level::Ok, "criu", text))
        }
        CriuState::Unset => {
            let text =
                "CRIU refuses to dump containers that have the view: it does not know the mounts";
            Some(Finding::new(Level::Warning, "criu", text).fix("plimsoll install criu"))
        }
    }
}

/// Judges whether CRIU can restore the container that is shown by that name.
pub(super) fn judge(shown: &str, mounts: &[Mount]) -> Option<Finding> {
    let mut mounts = mounts.iter();
    let text = format!(
        "CRIU dumps container {shown}, but cannot restore it: the container is not masked, and has uncovered copies of /proc or /sys"
    );
    let detach = command_for("detach", shown);
    let fix = format!("{detach}, before a checkpoint");
    let is_found = mounts.any(|mount| mount.source == UNCOVERED_SOURCE);
    is_found.then(|| Finding::new(Level::Note, "criu", text).fix(fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;

    #[test]
    fn a_criu_that_does_not_know_our_mounts_is_a_warning_with_the_fix() {
        assert_eq!(find(CriuState::Absent), None);
        let found = find(CriuState::Unset).unwrap();
        assert_eq!(found.level, Level::Warning);
        assert!(found.line().ends_with("-> plimsoll install criu"));
        assert_eq!(find(CriuState::Set).unwrap().level, Level::Ok);
    }

    #[test]
    fn a_container_with_uncovered_copies_is_named_before_its_checkpoint() {
        let judged = |text: &str| judge("web", &mountinfo::parse(text).collect::<Vec<_>>());
        let plain = "11 10 0:51 / /proc rw - proc proc rw\n";
        assert_eq!(judged(plain), None);
        let copies = "20 11 0:60 / /sys/devices/system/cpu ro - tmpfs plimsoll-uncovered rw\n";
        let said = judged(&format!("{plain}{copies}")).unwrap().line();
        assert!(
            said.ends_with("-> plimsoll detach web, before a checkpoint"),
            "{said}"
        );
    }
}
