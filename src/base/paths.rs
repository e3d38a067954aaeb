//! Pure. The directories, files and names of Plimsoll on a machine, and the messages about what a machine
//! lacks.

use std::path::{Path, PathBuf};

/// The configuration file.
pub const CONFIG_FILE: &str = "/etc/plimsoll/config.toml";

/// The directory on which the daemon mounts its view, unless the configuration names another one.
pub const DEFAULT_MOUNTPOINT: &str = "/var/lib/plimsoll";

/// The mount point of lxcfs. The package `plimsoll-lxcfs` shows the view there too, on the host and in containers.
pub const LXCFS_MOUNTPOINT: &str = "/var/lib/lxcfs";

/// The directory of locks, sockets and notes. A reboot empties it.
pub const RUN_DIR: &str = "/run/plimsoll";

/// The notes of containers that started while no daemon served them, which hooks of root write.
pub const PENDING_NOTES: &str = "/run/plimsoll/waiting";

/// The notes of such containers that hooks of other users write: a small tmpfs.
pub const USERS_PENDING_NOTES: &str = "/run/plimsoll/waiting-users";

/// The source of that tmpfs.
pub const USERS_PENDING_SOURCE: &str = "plimsoll-waiting";

/// The notes of containers that got their files only by `attach`.
pub const ATTACHED_NOTES: &str = "/run/plimsoll/attached";

/// The socket on which containerd and CRI-O accept NRI plugins.
pub const NRI_SOCKET: &str = "/var/run/nri/nri.sock";

/// The records of what `install` changed. They outlive a reboot.
pub const INSTALL_RECORDS: &str = "/var/lib/plimsoll-state/install";

/// The directories in which `plimsoll run` keeps the changes of its containers, in order of
/// preference: a disk first, for a tmpfs is charged to the container's own memory.
pub const CONTAINER_DIRS: [&str; 2] = ["/var/lib/plimsoll-run", "/run/plimsoll-run"];

/// The message about a machine without FUSE.
pub const NO_FUSE: &str = "cannot open /dev/fuse (load it with: modprobe fuse)";

/// The message about a machine without cgroups.
pub const NO_CGROUPS: &str =
    "no cgroup file system is mounted: mount -t cgroup2 none /sys/fs/cgroup";

/// The file system type of every mount of the view, as `/proc/PID/mountinfo` shows the type.
pub const FS_TYPE: &str = "fuse.plimsoll";

/// The source of the tmpfs below a served directory that holds uncovered copies of `/proc` and `/sys`.
pub const UNCOVERED_SOURCE: &str = "plimsoll-uncovered";

/// The directory of a view with one directory for each container, named by the container's key.
pub const CONTAINERS: &str = "containers";

/// The link in [`CONTAINERS`] that leads each reader to its own container's directory.
pub const SELF: &str = "self";

/// The prefix of the source of every mount of a view.
const SOURCE_PREFIX: &str = "plimsoll:";

/// Returns the path of a file in [`RUN_DIR`] that belongs to `path`, such as a lock of a mount point: two
/// paths have two names.
#[must_use]
pub fn run_file(kind: &str, path: &Path, ending: &str) -> PathBuf {
    // As systemd-escape(1) names units after paths.
    let name = path.to_string_lossy();
    let name = name.replace('-', "\\x2d").replace('/', "-");
    Path::new(RUN_DIR).join(format!("{kind}{name}.{ending}"))
}

/// Returns the source of every mount of the view at `view`. The source names the view even when
/// the daemon is dead and the view itself is no longer mounted.
#[must_use]
pub fn mount_source(view: &Path) -> String {
    format!("{SOURCE_PREFIX}{}", view.display())
}

/// Returns the view that the source of a mount names, the reverse of [`mount_source`]; `None` for
/// a source of another kind.
#[must_use]
pub fn view_of_source(source: &str) -> Option<PathBuf> {
    source.strip_prefix(SOURCE_PREFIX).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_its_view() {
        let view = Path::new("/var/lib/lxcfs");
        assert_eq!(mount_source(view), "plimsoll:/var/lib/lxcfs");
        assert_eq!(
            view_of_source("plimsoll:/var/lib/lxcfs").as_deref(),
            Some(view)
        );
        assert_eq!(view_of_source("lxcfs"), None);
    }
}
