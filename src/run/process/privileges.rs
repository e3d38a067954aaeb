//! The user, the groups and the capabilities of process 1 and of the command.

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities,
};

use crate::run::{
    error::{RunError, step},
    options::{security::Security, user::User},
};

/// Makes this process one of the user, with no capabilities but the container's. A process of
/// another user than root keeps only what process 1 itself needs.
///
/// # Errors
///
/// The errors of `setgroups(2)`, `setresuid(2)`, `prctl(2)` and `capset(2)`.
pub(super) fn become_user(user: &User, security: &Security) -> Result<(), RunError> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_keep_capabilities(true).map_err(step("keep capabilities"))?;
    setgroups(&groups)
        .and_then(|()| setresgid(gid, gid, gid))
        .and_then(|()| setresuid(uid, uid, uid))
        .map_err(step("become the container's user"))?;
    set_keep_capabilities(false).map_err(step("keep capabilities"))?;
    reduce_capabilities(user, security).map_err(step("drop capabilities"))
}

fn reduce_capabilities(user: &User, security: &Security) -> rustix::io::Result<()> {
    // The change of the user has emptied the effective set, without which no capability can be
    // taken from the bounding set.
    let mut sets = capabilities(None)?;
    sets.effective = sets.permitted;
    set_capabilities(None, sets)?;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if security.capabilities.contains(capability) {
            continue;
        }
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // The kernel knows no capability of this number or above.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    let mut first = security.first_capabilities();
    if user.uid != 0 {
        // As in Docker: the kernel asks for the rights to a program before an exec takes the
        // capabilities. Process 1 sends signals to programs of any user, and may need its filter.
        first &= CapabilitySet::KILL | CapabilitySet::SYS_ADMIN;
    }
    let sets = CapabilitySets {
        effective: first,
        permitted: first,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    match clear_ambient_capability_set() {
        // Kernels before 4.3 have no such set.
        Err(rustix::io::Errno::INVAL) => Ok(()),
        cleared => cleared,
    }
}
