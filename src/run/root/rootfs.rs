//! The root of a container: a directory, or layers below a directory for changes; the container's
//! own files of /etc; volumes.
//!
//! All mounts lie in the private mount namespace of this `plimsoll run`, below a tmpfs that holds
//! nothing but mount points, so that the end of the process removes the mounts. A mount point that
//! is missing in the root is created, recorded, and removed from the kept changes.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    slice,
};

use nix::mount::{MntFlags, MsFlags, umount2};

use crate::{
    base::{
        mountinfo::{self, visible},
        output::{complain, escaped},
        paths::DEFAULT_MOUNTPOINT,
        sys::mount::{Depth, forbid},
    },
    run::{
        error::{RunError, at},
        options::request::{Request, RootSource},
        root::{
            bind::{NO_DEVICES, READ_ONLY, bind, bind_read_only, open_path},
            dirs::{self, ContainerDir},
            etc, host_mounts,
            mountpoints::Mountpoints,
            overlay::Overlays,
            safe_root::SafeRoot,
            silent::silent,
            undo::UndoRecord,
            volume::{mount_tmpfs, mount_volume},
        },
    },
};

/// The mounted root of a container. A drop removes the created mount points from a root that is a
/// directory.
#[derive(Debug)]
pub(crate) struct Rootfs {
    /// The path of the root.
    pub(crate) path: PathBuf,
    /// The record of what the root leaves on disk.
    pub(crate) undo: UndoRecord,
}

impl Rootfs {
    /// Mounts the requested root.
    ///
    /// # Errors
    ///
    /// A layer that the kernel refuses, and a file or mount point that cannot be created.
    pub(crate) fn mount(
        request: &Request,
        dir: &ContainerDir,
        mountpoints: &Mountpoints,
        hostname: &str,
    ) -> Result<Rootfs, RunError> {
        let path = mountpoints.create("root")?;
        let mut rootfs = Rootfs {
            path: path.clone(),
            undo: UndoRecord::default(),
        };
        let mut overlays = Overlays::new(dir, mountpoints);
        match &request.root {
            RootSource::Directory(directory) => {
                bind(&open_path(directory)?, &path, Depth::Below)?;
                rootfs.undo.directory = Some(directory.clone());
            }
            RootSource::Layers(layers) => {
                let upper = overlays.mount(layers, &path, "upper")?;
                rootfs.undo.overlays.push((PathBuf::new(), upper));
            }
            RootSource::Host => rootfs.mount_host(&mut overlays, &request.mountpoint)?,
        }
        let mut safe_root = SafeRoot::open(&path)?;
        let mounted = mount_own(&mut safe_root, dir, request, hostname)
            .and_then(|()| rootfs.mount_volumes(&mut safe_root, &mut overlays, request));
        // The record is written before an error returns, so that the created files go in any case.
        rootfs.record(safe_root.into_created(), dir)?;
        mounted.map(|()| rootfs)
    }

    /// Records further created paths, relative to the root, parents first.
    ///
    /// # Errors
    ///
    /// A record that cannot be written.
    pub(crate) fn record(
        &mut self,
        created: Vec<PathBuf>,
        dir: &ContainerDir,
    ) -> Result<(), RunError> {
        self.undo.created.extend(created);
        self.undo.write(dir.path())
    }

    /// Mounts the host's `/`, and on it each further mount of the host that the container shows.
    fn mount_host(
        &mut self,
        overlays: &mut Overlays<'_>,
        mountpoint: &Path,
    ) -> Result<(), RunError> {
        let mounts = own_mounts()?;
        let hidden: Vec<&Path> = hidden_paths(mountpoint).collect();
        let upper = overlays.mount(&[PathBuf::from("/")], &self.path, "upper")?;
        self.undo.overlays.push((PathBuf::new(), upper));
        let points = host_mounts::shown_mounts(&mounts, &hidden);
        let silent = silent(&points);
        for (number, point) in points.iter().enumerate() {
            if silent.contains(point) {
                warn_of_silent(point);
                continue;
            }
            let below = point.strip_prefix("/").unwrap_or(point);
            let target = self.path.join(below);
            let source = match open_path(point) {
                Ok(source) if target.symlink_metadata().is_ok() => source,
                // A mount that has been removed or covered since is left out.
                _ => continue,
            };
            let name = format!("upper.{number}");
            if point.is_dir()
                && let Ok(upper) = overlays.mount(slice::from_ref(point), &target, &name)
            {
                self.undo.overlays.push((below.to_owned(), upper));
                continue;
            }
            // The mount is a file, or overlay refuses the file system, like one with case folding.
            bind_read_only(&source, &target).map_err(at("show the container the host's", point))?;
        }
        Ok(())
    }

    /// Mounts the volumes in the root, and makes the root itself read-only if requested.
    fn mount_volumes(
        &self,
        safe_root: &mut SafeRoot,
        overlays: &mut Overlays<'_>,
        request: &Request,
    ) -> Result<(), RunError> {
        // The tops are opened before a volume may cover one, and made read-only after the mount
        // points of the volumes exist.
        let tops = self.writable_tops()?;
        for (number, volume) in request.volumes.iter().enumerate() {
            mount_volume(safe_root, overlays, volume, number)?;
        }
        if request.read_only {
            for top in tops {
                forbid(top.as_fd(), READ_ONLY, Depth::Alone)
                    .map_err(at("forbid writes in", "the root"))?;
            }
        }
        Ok(())
    }

    /// Opens the top of every writable mount of the root.
    fn writable_tops(&self) -> Result<Vec<OwnedFd>, RunError> {
        let overlays = self.undo.overlays.iter().map(|(below, _)| below.clone());
        let directory = match self.undo.directory {
            Some(_) => mounts_below(&self.path)?,
            None => Vec::new(),
        };
        let etc = etc::ETC_FILES
            .iter()
            .map(|name| Path::new("etc").join(name));
        let safe_root = SafeRoot::open(&self.path)?;
        overlays
            .chain(directory)
            .chain(etc)
            .map(|path| {
                let path = Path::new("/").join(path);
                safe_root
                    .open_path(&path)
                    .map_err(at("open the container's", path))
            })
            .collect()
    }
}

/// Prints which mount of the host the container lacks.
fn warn_of_silent(point: &Path) {
    let point = escaped(point);
    complain(&format!(
        "the container lacks {point}: that mount of the host does not answer"
    ));
}

impl Drop for Rootfs {
    fn drop(&mut self) {
        if self.undo.directory.is_some() {
            // The root may be unmounted already, together with the tmpfs of its mount point.
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
            self.undo.remove_mountpoints();
        }
    }
}

/// Mounts the container's own files and directories in a root, and creates the mount points of the
/// kernel's file systems.
fn mount_own(
    safe_root: &mut SafeRoot,
    dir: &ContainerDir,
    request: &Request,
    hostname: &str,
) -> Result<(), RunError> {
    if request.root == RootSource::Host {
        hide_own_paths(safe_root, &request.mountpoint)?;
    }
    etc::mount_files(safe_root, dir, request, hostname)?;
    for point in ["/proc", "/sys", "/dev"] {
        safe_root.create_dir(Path::new(point))?;
    }
    if request.root == RootSource::Host {
        mount_empty_run(safe_root)?;
    }
    forbid(safe_root.root(), NO_DEVICES, Depth::Below).map_err(at("forbid devices in", "the root"))
}

/// Returns the host's paths that no container may see: the directories of other containers, and the
/// mount points of the host's daemon.
fn hidden_paths(mountpoint: &Path) -> impl Iterator<Item = &Path> {
    let default = Path::new(DEFAULT_MOUNTPOINT);
    let configured = (mountpoint != default).then_some(mountpoint);
    let dirs = dirs::parents().map(|path: &Path| path);
    dirs.chain([default]).chain(configured)
}

/// Covers the hidden paths of the host with empty file systems.
fn hide_own_paths(safe_root: &SafeRoot, mountpoint: &Path) -> Result<(), RunError> {
    for path in hidden_paths(mountpoint) {
        let Ok(target) = safe_root.open_path(path) else {
            continue;
        };
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC;
        mount_tmpfs(&target, flags, "mode=755,size=0").map_err(at("hide", path))?;
    }
    Ok(())
}

/// Mounts an empty /run: the host's holds the sockets of the host's services. A volume may lie in
/// /run, so this mount comes before the volumes.
fn mount_empty_run(safe_root: &mut SafeRoot) -> Result<(), RunError> {
    let path = Path::new("/run");
    let target = safe_root.create_dir(path)?;
    mount_tmpfs(&target, MsFlags::empty(), "mode=755").map_err(at("mount the container's", path))
}

/// Returns the mounts at a directory and below, by their paths relative to the directory.
fn mounts_below(directory: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mounts = own_mounts()?;
    let below = |mount: &&mountinfo::Mount| {
        let path = mount.point.strip_prefix(directory).ok()?;
        Some(path.to_owned())
    };
    Ok(visible(&mounts).iter().filter_map(below).collect())
}

fn own_mounts() -> Result<Vec<mountinfo::Mount>, RunError> {
    mountinfo::own().map_err(at("read", "/proc/self/mountinfo"))
}
