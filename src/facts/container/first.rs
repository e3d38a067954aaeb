//! From the first process of a container to the container's key, for whoever makes it.

use super::CallerError;
use crate::{
    base::{
        sys::ReadError,
        units::{Key, Pid},
    },
    facts::cgroup::{Layout, Membership},
};
use std::{fs, path::Path};

/// The key of the container whose first process that is, and which has no other process yet. The
/// daemon's is the same if both see the same hierarchies, at whatever paths.
///
/// # Errors
/// When the kernel does not tell, or the process lives outside of what this one sees.
pub fn key_of_first(pid: Pid) -> Result<Key, CallerError> {
    let unread = |source| CallerError::Unread {
        tid: pid.main_thread(),
        source,
    };
    let path = format!("/proc/{pid}/cgroup");
    let membership = fs::read_to_string(&path)
        .map_err(ReadError::refused(Path::new(&path)))
        .map_err(unread)?;
    let membership = Membership::parse(&membership);
    let cgroups = Layout::read(Path::new("/")).map_err(unread)?;
    let place = cgroups.place(&membership);
    let place = place.filter(|_| cgroups.has_keys_of(&membership));
    let place = place.ok_or(CallerError::Outside {
        tid: pid.main_thread(),
    })?;
    cgroups.key(&place.out_of_init_scope()).map_err(unread)
}
