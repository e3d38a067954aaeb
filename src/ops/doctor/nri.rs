//! The NRI plugin and the socket of the runtime.

use super::{Finding, Level};
use crate::{
    base::paths::NRI_SOCKET,
    inject::nri::{PluginState, plugin_state},
};
use std::path::Path;

/// Returns the finding about the plugin of this machine. None on a machine without a plugin and without a
/// runtime that has NRI.
pub(super) fn read() -> Option<Finding> {
    let socket = Path::new(NRI_SOCKET);
    find(plugin_state(socket)?, socket.exists())
}

fn find(state: PluginState, has_socket: bool) -> Option<Finding> {
    let finding = |level, text: String| Finding::new(level, "nri", text);
    Some(match state {
        PluginState::Registered(runtime) => finding(
            Level::Ok,
            format!("registered with {runtime}; every container of a pod gets the view"),
        ),
        PluginState::Unregistered(reason) if has_socket => finding(
            Level::Warning,
            format!("the plugin is not registered: {reason}"),
        )
        .fix("journalctl -u plimsoll-nri"),
        PluginState::Unregistered(reason) => finding(
            Level::Warning,
            format!("the plugin is not registered, and no runtime has NRI: {reason}"),
        )
        .fix("start containerd or CRI-O; containerd 1.7 needs plimsoll install containerd, then a restart"),
        PluginState::Absent if has_socket => finding(
            Level::Note,
            format!("the runtime of pods takes plugins at {NRI_SOCKET}, and ours does not run"),
        )
        .fix("systemctl enable --now plimsoll-nri, if pods without a RuntimeClass are to have the view"),
        PluginState::Absent => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_is_not_registered_is_a_warning_and_one_that_is_not_wanted_is_a_note() {
        let level = |state, has_socket| find(state, has_socket).map(|finding| finding.level);
        let unregistered = || PluginState::Unregistered("refused".to_owned());
        let registered = PluginState::Registered("containerd v2.1.9".to_owned());
        assert_eq!(level(registered, true), Some(Level::Ok));
        assert_eq!(level(unregistered(), true), Some(Level::Warning));
        assert_eq!(level(unregistered(), false), Some(Level::Warning));
        assert_eq!(level(PluginState::Absent, true), Some(Level::Note));
        assert_eq!(level(PluginState::Absent, false), None);
    }
}
