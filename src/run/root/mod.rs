//! The root of a container, and what it leaves on disk.

pub(crate) mod dirs;
pub(crate) mod etc;
pub(crate) mod host_mounts;
pub(crate) mod mountpoints;

pub(crate) mod rootfs;
pub(crate) mod safe_root;
pub(crate) mod undo;
