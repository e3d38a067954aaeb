//! Services and sandboxes in containers that see the host's files while their container has its own.

use super::{Finding, Level, finding::command_for};
use crate::{base::units::Pid, facts::engines::RunningContainer, inject::attach::NamespaceTable};

/// Examines those of the containers that have Plimsoll's files.
pub(super) fn find(containers: &[RunningContainer]) -> Vec<Finding> {
    let Ok(namespaces) = NamespaceTable::read() else {
        return Vec::new();
    };
    let found = containers.iter().filter_map(|container| {
        let lacking = namespaces.without_view(container.pid);
        judge(container.shown(), &lacking)
    });
    found.collect()
}

fn judge(shown: &str, lacking: &[Pid]) -> Option<Finding> {
    let first = lacking.first()?;
    let more = match lacking.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let text = format!(
        "process {first}{more} in container {shown} sees the host's files: it has a /proc of its own"
    );
    let fix = command_for("attach", shown);
    Some(Finding::new(Level::Warning, "containers", text).fix(fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_sees_the_hosts_files_is_named_with_its_container() {
        assert_eq!(judge("web", &[]), None);
        let said = judge("web", &[Pid(7), Pid(9)]).unwrap().line();
        assert!(
            said.contains("process 7 (and 1 more) in container web"),
            "{said}"
        );
        assert!(said.ends_with("-> plimsoll attach web"), "{said}");
    }
}
