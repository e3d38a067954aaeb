//! Files of ours in containers for which nobody answers any more.

use super::{Finding, Level};
use crate::reach::{self, Dead};
use nix::unistd::geteuid;
use std::path::Path;

/// Looks through the containers of the machine; `is_well` says whether the daemon at `mountpoint`
/// serves.
pub(super) fn find(mountpoint: &Path, is_well: bool) -> Vec<Finding> {
    if !geteuid().is_root() {
        let text = "containers are looked into only by root";
        return vec![Finding::new(Level::Warning, "containers", text).mend("run it as root")];
    }
    match reach::dead() {
        Ok(dead) => judged(&dead, is_well.then_some(mountpoint)),
        Err(error) => {
            let text = format!("cannot look into containers: {error}");
            vec![Finding::new(Level::Warning, "containers", text)]
        }
    }
}

/// `living` is a view that is served: its daemon heals when it starts, and has started.
fn judged(dead: &[Dead], living: Option<&Path>) -> Vec<Finding> {
    if dead.is_empty() {
        let text = "none has a file that nobody answers for";
        return vec![Finding::new(Level::Ok, "containers", text)];
    }
    let found = dead.iter().map(|Dead { pid, mounts, view }| {
        let text = format!(
            "the container of process {pid} has {mounts} dead files of {}: reads of them fail",
            view.display()
        );
        let mend = match living == Some(view.as_path()) {
            true => format!(
                "restart that container, or take it out: nsenter -t {pid} -m umount -l FILE"
            ),
            false => format!(
                "plimsoll daemon {}: it heals them as it starts",
                view.display()
            ),
        };
        Finding::new(Level::Error, "containers", text).mend(mend)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_files_are_an_error_with_the_process_that_has_them() {
        let dead = Dead {
            pid: 4711,
            mounts: 9,
            view: "/var/lib/plimsoll".into(),
        };
        let found = judged(&[dead], None);
        assert_eq!(found[0].level, Level::Error);
        assert!(
            found[0].finding.contains("4711 has 9 dead files"),
            "{found:?}"
        );
        assert_eq!(judged(&[], None)[0].level, Level::Ok);
    }
}
