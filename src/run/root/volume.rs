//! The volumes of a container: files and directories of the host, fresh directories, and file systems in
//! memory.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    slice,
};

use nix::{
    mount::{MsFlags, mount},
    sys::stat::{SFlag, fstat},
};

use crate::{
    base::sys::mount::{Depth, attach, clone_tree, forbid},
    run::{
        error::{RunError, at},
        options::request::{Volume, VolumeSource},
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
        VolumeSource::Host(source) => {
            check_kinds(safe_root, source, &volume.target)?;
            let target = if source.is_dir() {
                safe_root.create_dir(&volume.target)?
            } else {
                safe_root.create_file(&volume.target)?
            };
            (open_path(source)?, target)
        }
        VolumeSource::Fresh => {
            let target = safe_root.create_dir(&volume.target)?;
            (fresh_dir(overlays, target.as_fd(), number)?, target)
        }
        VolumeSource::Tmpfs {
            options,
            is_executable,
        } => {
            let target = safe_root.create_dir(&volume.target)?;
            let mut flags = MsFlags::empty();
            flags.set(MsFlags::MS_RDONLY, volume.read_only);
            flags.set(MsFlags::MS_NOEXEC, !is_executable);
            return mount_tmpfs(&target, flags, options).map_err(at(
                "mount a file system in memory on the container's",
                &volume.target,
            ));
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

/// Makes sure that a directory is mounted on a directory, and a file on a file. A missing target is
/// created as it must be.
fn check_kinds(safe_root: &SafeRoot, source: &Path, target: &Path) -> Result<(), RunError> {
    let found = safe_root.open_path(target).and_then(fstat);
    let is_directory = found.map(|found| {
        let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
        kind == SFlag::S_IFDIR
    });
    match is_directory {
        Ok(is_directory) if is_directory != source.is_dir() => Err(RunError::VolumeKinds {
            from: source.to_owned(),
            target: target.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Mounts an empty file system in memory, without devices and without programs that give privileges.
///
/// # Errors
///
/// The errors of `mount(2)`.
pub(super) fn mount_tmpfs(target: &OwnedFd, flags: MsFlags, options: &str) -> nix::Result<()> {
    let link = format!("/proc/self/fd/{}", target.as_raw_fd());
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let name = Some("plimsoll");
    mount(name, link.as_str(), Some("tmpfs"), flags, Some(options))
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
