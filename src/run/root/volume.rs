//! The volumes of a container: files and directories of the host, and fresh directories.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    slice,
};

use crate::{
    base::sys::mount::{Depth, attach, clone_tree, forbid},
    run::{
        error::{RunError, at},
        options::request::Volume,
        root::{
            bind::{NO_DEVICES, READ_ONLY, open_path},
            overlay::{Overlays, copy_owner_and_mode},
            safe_root::SafeRoot,
        },
    },
};

/// Mounts the volume with this number in a root.
///
/// # Errors
///
/// A mount point that cannot be created, and a mount that the kernel refuses.
pub(crate) fn mount_volume(
    safe_root: &mut SafeRoot,
    overlays: &mut Overlays<'_>,
    volume: &Volume,
    number: usize,
) -> Result<(), RunError> {
    let (source, target) = match &volume.source {
        Some(source) => {
            let target = if source.is_dir() {
                safe_root.create_dir(&volume.target)?
            } else {
                safe_root.create_file(&volume.target)?
            };
            (open_path(source)?, target)
        }
        None => {
            let target = safe_root.create_dir(&volume.target)?;
            (fresh_dir(overlays, target.as_fd(), number)?, target)
        }
    };
    let restriction = match volume.read_only {
        true => READ_ONLY,
        false => NO_DEVICES,
    };
    clone_tree(source.as_fd(), Depth::Below)
        .and_then(|copy| {
            forbid(copy.as_fd(), restriction, Depth::Below)?;
            attach(copy.as_fd(), target.as_fd())
        })
        .map_err(at("mount a volume on the container's", &volume.target))
}

/// Opens a fresh directory with the content of the root's directory `target`, copied on write into
/// the container's directory, whose end removes the copies.
fn fresh_dir(
    overlays: &mut Overlays<'_>,
    target: BorrowedFd<'_>,
    number: usize,
) -> Result<OwnedFd, RunError> {
    let path = overlays.mountpoints.create(&format!("v{number}"))?;
    let lower = overlays.mountpoints.create(&format!("v{number}.lower"))?;
    let copy = clone_tree(target, Depth::Alone);
    let to = open_path(&lower)?;
    copy.and_then(|copy| attach(copy.as_fd(), to.as_fd()))
        .map_err(at("bind", &lower))?;
    let name = format!("upper.v{number}");
    if overlays
        .mount(slice::from_ref(&lower), &path, &name)
        .is_ok()
    {
        return open_path(&path);
    }
    // The kernel limits the depth of stacked overlays: such a volume begins empty.
    let empty = overlays.dir.create_dir(&name)?;
    copy_owner_and_mode(&lower, &empty)?;
    open_path(&empty)
}
