//! The kernel's file systems in a root, and the devices and links of /dev.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    sys::stat::{Mode, SFlag, makedev, mknodat, umask},
    unistd::symlinkat,
};
use rustix::mount::MountAttrFlags;

use crate::{
    base::sys::mount::{Depth, Forbid, attach, clone_tree, forbid, new_file_system},
    run::{
        error::{RunError, at},
        root::{bind::open_path, safe_root::SafeRoot},
    },
};

/// The mount point of the cgroup file systems in a container.
const CGROUP_MOUNT: &str = "/sys/fs/cgroup";

/// The restriction of the cgroup directories.
const CGROUP_RESTRICTION: Forbid = Forbid {
    writes: true,
    devices: true,
    programs: true,
};

/// The attributes of a file system without programs and devices.
const DATA: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC)
    .union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// A file system of the kernel in a container.
struct FileSystem {
    kind: &'static str,
    source: &'static str,
    point: &'static str,
    attributes: MountAttrFlags,
    options: &'static [(&'static str, &'static str)],
}

/// The file systems of every container, in the order of their mounts.
const FILE_SYSTEMS: [FileSystem; 6] = [
    FileSystem {
        kind: "proc",
        source: "proc",
        point: "/proc",
        attributes: DATA,
        options: &[],
    },
    FileSystem {
        kind: "tmpfs",
        source: "tmpfs",
        point: "/dev",
        attributes: MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_STRICTATIME),
        options: &[("mode", "755"), ("size", "65536k")],
    },
    FileSystem {
        kind: "devpts",
        source: "devpts",
        point: "/dev/pts",
        attributes: MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC),
        options: &[("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")],
    },
    FileSystem {
        kind: "tmpfs",
        source: "shm",
        point: "/dev/shm",
        attributes: DATA,
        options: &[("mode", "1777"), ("size", "65536k")],
    },
    FileSystem {
        kind: "mqueue",
        source: "mqueue",
        point: "/dev/mqueue",
        attributes: DATA,
        options: &[],
    },
    FileSystem {
        kind: "sysfs",
        source: "sysfs",
        point: "/sys",
        attributes: DATA.union(MountAttrFlags::MOUNT_ATTR_RDONLY),
        options: &[],
    },
];

/// The file system that holds the mount points of the hierarchies of cgroup v1.
const LEGACY_CGROUPS: FileSystem = FileSystem {
    kind: "tmpfs",
    source: "tmpfs",
    point: CGROUP_MOUNT,
    attributes: DATA,
    options: &[("mode", "755")],
};

/// The devices of every container (Documentation/admin-guide/devices.txt).
const DEVICES: [(&str, u64, u64); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links in /dev of every container.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Mounts the file systems of the kernel in the root at `path`, with `cgroups`, each at its path in
/// the container, and fills /dev. The calling process must be in the namespaces of
/// the container: each file system shows those of its mounter.
///
/// # Errors
///
/// A mount that the kernel refuses, and a device that cannot be created.
pub(crate) fn mount_kernel_file_systems(
    path: &Path,
    cgroups: &[(PathBuf, PathBuf)],
    has_legacy_cgroups: bool,
) -> Result<(), RunError> {
    let mut root = SafeRoot::open(path)?;
    for file_system in &FILE_SYSTEMS {
        file_system.mount(&mut root)?;
    }
    if has_legacy_cgroups {
        LEGACY_CGROUPS.mount(&mut root)?;
    }
    for (cgroup, point) in cgroups {
        let target = root.create_dir(point)?;
        let cgroup = open_path(cgroup)?;
        clone_tree(cgroup.as_fd(), Depth::Alone)
            .and_then(|copy| {
                forbid(copy.as_fd(), CGROUP_RESTRICTION, Depth::Alone)?;
                attach(copy.as_fd(), target.as_fd())
            })
            .map_err(at("mount the container's", point))?;
    }
    if has_legacy_cgroups {
        let mounted = root.open_without_links(Path::new(CGROUP_MOUNT));
        mounted
            .and_then(|mount| forbid(mount.as_fd(), CGROUP_RESTRICTION, Depth::Alone))
            .map_err(at("forbid writes in the container's", CGROUP_MOUNT))?;
    }
    fill_dev(&root.create_dir(Path::new("/dev"))?)
}

impl FileSystem {
    fn mount(&self, root: &mut SafeRoot) -> Result<(), RunError> {
        let point = Path::new(self.point);
        root.create_dir(point)?;
        // A link could lead into a volume, where another container renames the mount point before
        // the paths in it are covered (CVE-2019-19921, CVE-2023-28642).
        let mounted = root.open_without_links(point).and_then(|target| {
            let mount = new_file_system(self.kind, self.source, self.options, self.attributes)?;
            attach(mount.as_fd(), target.as_fd())
        });
        mounted.map_err(at("mount the container's", self.point))
    }
}

fn fill_dev(dev: &OwnedFd) -> Result<(), RunError> {
    let in_dev = |name: &str| Path::new("/dev").join(name);
    let before = umask(Mode::empty());
    for (name, major, minor) in DEVICES {
        let mode = Mode::from_bits_truncate(0o666);
        mknodat(dev, name, SFlag::S_IFCHR, mode, makedev(major, minor))
            .map_err(at("create the container's", in_dev(name)))?;
    }
    umask(before);
    let kcore = "/proc/kcore";
    let kcore = Path::new(kcore).exists().then_some(("kcore", kcore));
    for (name, to) in LINKS.into_iter().chain(kcore) {
        symlinkat(to, dev, name).map_err(at("create the container's", in_dev(name)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_cannot_change_the_hosts_devices() {
        let sysfs = FILE_SYSTEMS.iter().find(|one| one.point == "/sys").unwrap();
        assert!(sysfs.attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY));
    }
}
