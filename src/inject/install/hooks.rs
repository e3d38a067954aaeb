//! Pure. The files that are ours alone: they are as they are packaged, but for where the program is.

use crate::inject::oci::hook_spec::{HookSpec, PACKAGED_PROGRAM};

/// The file that Podman and CRI-O read (oci-hooks(5)).
pub(super) fn oci(program: &str) -> String {
    HookSpec::of_engines(program).hooks_d()
}

/// A device of the Container Device Interface, for whoever wants the view by name.
pub(super) fn cdi(program: &str) -> String {
    HookSpec::of_engines(program).cdi()
}

/// What LXC's containers include: a mount hook (lxc.container.conf(5)).
pub(super) fn lxc(program: &str) -> String {
    include_str!("../../../packaging/lxc/plimsoll.conf").replace(PACKAGED_PROGRAM, program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lxc_calls_the_program_where_it_is() {
        let text = lxc("/opt/plimsoll");
        assert!(text.contains("\nlxc.hook.mount = /opt/plimsoll hook --lxc\n"));
    }
}
