//! Pure. The configuration files that only Plimsoll writes, with the program's path filled in.

use serde_json::Value;

use crate::inject::oci::hook_spec::{HookSpec, PACKAGED_PROGRAM, is_our_hook};

/// The kind of our device, as CDI names it.
const CDI_KIND: &str = "plimsoll.io/view";

/// Returns the hook file for Podman and CRI-O (oci-hooks(5)).
pub(super) fn oci(program: &str) -> String {
    HookSpec::of_engines(program).hooks_d()
}

/// Returns the settings that name these directories of hooks under the key.
pub(super) fn directories(key: &[&str], directories: &[String]) -> String {
    let (name, tables) = key.split_last().unwrap_or((&"", &[]));
    let directories: toml_edit::Array = directories.iter().collect();
    format!("[{}]\n{name} = {directories}\n", tables.join("."))
}

/// Returns the file with our device of the Container Device Interface.
pub(super) fn cdi(program: &str) -> String {
    HookSpec::of_engines(program).cdi()
}

/// Returns the file with our mount hook that LXC's containers include (lxc.container.conf(5)).
pub(super) fn lxc(program: &str) -> String {
    include_str!("../../../packaging/lxc/plimsoll.conf").replace(PACKAGED_PROGRAM, program)
}

/// Returns true if the file is a hook of Plimsoll (oci-hooks(5)).
pub(super) fn is_our_oci_hook(text: &str) -> bool {
    let file: Value = serde_json::from_str(text).unwrap_or_default();
    file.get("hook").is_some_and(is_our_hook)
}

/// Returns whether the file, in JSON or YAML, describes our device.
pub(super) fn is_our_cdi(text: &str) -> bool {
    text.contains(CDI_KIND)
}

/// Returns the programs of the mount hooks in a file of LXC's.
pub(super) fn lxc_programs(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let hooks = lines.filter(|(key, _)| key.trim() == "lxc.hook.mount");
    hooks.filter_map(|(_, command)| command.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_line_for_lxc_that_is_not_understood_costs_only_itself(odd in "[^\\n]{0,40}", at in 0usize..3) {
            let mut lines = vec!["lxc.hook.mount = /usr/bin/plimsoll hook --lxc", "lxc.hook.mount=/x y"];
            lines.insert(at, &odd);
            let text = lines.join("\n");
            let programs: Vec<&str> = lxc_programs(&text).collect();
            prop_assert_eq!(programs, ["/usr/bin/plimsoll", "/x"]);
        }
    }

    #[test]
    fn lxc_calls_the_program_where_it_is() {
        let text = lxc("/opt/plimsoll");
        assert!(text.contains("\nlxc.hook.mount = /opt/plimsoll hook --lxc\n"));
    }
}
