//! The root of a container, and the traces that a root leaves on disk.

/// The paths in a root, which no link can leave.
pub(crate) mod safe_root;

/// The record of what a root leaves on disk, for its removal.
pub(crate) mod undo;

/// The directories of running containers, and the removal of those that a killed run left.
///
/// Uses [`undo`].
pub(crate) mod dirs;

/// The changes that a run has kept.
///
/// Uses [`dirs`].
pub(crate) mod kept;

/// The mount points of one run.
///
/// Uses [`dirs`].
pub(crate) mod mountpoints;

/// The mounts of the host that a root shows.
pub(crate) mod host_mounts;

/// The mounts of the host that never answer.
pub(crate) mod silent;

/// Bind mounts between open paths.
pub(crate) mod bind;

/// The kernel's file systems in a root, and the content of /dev.
///
/// Uses [`safe_root`], [`bind`].
pub(crate) mod kernel_mounts;

/// The change of process 1 into a root, and the paths there that are covered.
///
/// Uses [`bind`].
pub(crate) mod enter;

/// The overlays of a root.
///
/// Uses [`dirs`], [`mountpoints`], [`bind`].
pub(crate) mod overlay;

/// The volumes in a root.
///
/// Uses [`safe_root`], [`bind`], [`overlay`].
pub(crate) mod volume;

/// The files of /etc that are the container's own.
///
/// Uses [`safe_root`], [`dirs`], [`bind`].
pub(crate) mod etc;

/// The mounts that make a root.
///
/// Uses [`safe_root`], [`undo`], [`dirs`], [`mountpoints`], [`host_mounts`], [`silent`], [`bind`],
/// [`overlay`], [`volume`], [`etc`].
pub(crate) mod rootfs;
