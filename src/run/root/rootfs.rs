//! The root of a container: a directory, or layers under a place for changes; the files of /etc
//! that are the container's own; volumes.
//!
//! Everything here is mounted in the private mount namespace of this `plimsoll run`, below
//! a tmpfs that holds nothing but mount points, so that it is gone with the process. What has to
//! be made in the root to mount upon is remembered and removed from what is kept.

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt, chown},
    },
    path::{Path, PathBuf},
    slice,
};

use nix::{
    fcntl::{OFlag, open},
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::Mode,
};

use crate::{
    base::{
        mountinfo::{self, Mount, visible},
        paths::DEFAULT_MOUNTPOINT,
        sys::mount::{self as tree, Depth, Forbid},
    },
    run::{
        error::{RunError, at},
        options::request::{Request, Root, Volume},
        root::{
            dirs::{self, Place},
            etc, host_mounts,
            mountpoints::Scaffold,
            safe_root::Inside,
            undo::Traces,
        },
    },
};

/// A container's root, mounted; nothing of ours is left in a directory when it is dropped.
#[derive(Debug)]
pub(crate) struct Rootfs {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it leaves on disk.
    pub(crate) traces: Traces,
}

/// Mounts the root that is asked for.
///
/// # Errors
///
/// When a layer is refused, or a file that is needed cannot be made.
pub(crate) fn mounted(
    request: &Request,
    place: &Place,
    scaffold: &Scaffold,
    hostname: &str,
) -> Result<Rootfs, RunError> {
    let path = scaffold.point("root")?;
    let mut rootfs = Rootfs {
        path: path.clone(),
        traces: Traces::default(),
    };
    let mut builder = Builder {
        place,
        scaffold,
        layers: 0,
    };
    match &request.root {
        Root::Directory(directory) => {
            bind(&opened(directory)?, &path, Depth::Below)?;
            rootfs.traces.directory = Some(directory.clone());
        }
        Root::Layers(layers) => {
            let upper = builder.overlay(layers, &path, "upper")?;
            rootfs.traces.overlays.push((PathBuf::new(), upper));
        }
        Root::Host => builder.host(&mut rootfs, &request.view)?,
    }
    let mut inside = Inside::open(&path)?;
    let furnished = furnish(&mut inside, &rootfs, &mut builder, request, hostname);
    // Known before anything fails, so that it is taken back then too.
    rootfs.remember(inside.made(), place)?;
    furnished.map(|()| rootfs)
}

/// Mounts into a root what is the container's own, and its volumes.
fn furnish(
    inside: &mut Inside,
    rootfs: &Rootfs,
    builder: &mut Builder<'_>,
    request: &Request,
    hostname: &str,
) -> Result<(), RunError> {
    if request.root == Root::Host {
        hide(inside, &request.view)?;
    }
    etc::own_files(inside, builder.place, request, hostname)?;
    for point in ["/proc", "/sys", "/dev"] {
        inside.directory(Path::new(point))?;
    }
    if request.root == Root::Host {
        own_run(inside)?;
    }
    forbid_devices(inside)?;
    // Taken hold of before a volume may cover one; closed to writes after the volumes' mount
    // points are made.
    let tops = tops(rootfs)?;
    for (number, volume) in request.volumes.iter().enumerate() {
        builder.volume(inside, volume, number)?;
    }
    if request.read_only {
        for top in tops {
            forbid_writes(&top)?;
        }
    }
    Ok(())
}

struct Builder<'a> {
    place: &'a Place,
    scaffold: &'a Scaffold,
    layers: usize,
}

impl Builder<'_> {
    /// The host's `/`, and above it each of its mounts that belongs to it.
    fn host(&mut self, rootfs: &mut Rootfs, view: &Path) -> Result<(), RunError> {
        let all = own_mounts()?;
        let hidden: Vec<&Path> = hidden(view).collect();
        let upper = self.overlay(&[PathBuf::from("/")], &rootfs.path, "upper")?;
        rootfs.traces.overlays.push((PathBuf::new(), upper));
        for (number, point) in host_mounts::carried(&all, &hidden).iter().enumerate() {
            let below = point.strip_prefix("/").unwrap_or(point);
            let target = rootfs.path.join(below);
            let source = match opened(point) {
                Ok(source) if target.symlink_metadata().is_ok() => source,
                // Whatever is not there now, or is covered, the container does without.
                _ => continue,
            };
            let name = format!("upper.{number}");
            if point.is_dir()
                && let Ok(upper) = self.overlay(slice::from_ref(point), &target, &name)
            {
                rootfs.traces.overlays.push((below.to_owned(), upper));
                continue;
            }
            // A file, or a file system that overlay refuses, like one with case folding.
            let copy = tree::clone_tree(source.as_fd(), Depth::Alone);
            let forbidden = Forbid {
                writes: true,
                devices: true,
            };
            copy.and_then(|copy| {
                tree::forbid(copy.as_fd(), forbidden, Depth::Alone)?;
                let target = open(&target, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
                tree::attach(copy.as_fd(), target.as_fd())
            })
            .map_err(at("show the container the host's", point))?;
        }
        Ok(())
    }

    /// Mounts layers, lowest first, under a fresh place for changes of this name, which is answered.
    fn overlay(
        &mut self,
        layers: &[PathBuf],
        target: &Path,
        name: &str,
    ) -> Result<PathBuf, RunError> {
        let refused = |source: nix::Error| RunError::Overlay {
            layers: layers
                .iter()
                .map(|l| l.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
            source: source.into(),
        };
        let mut lower = Vec::new();
        for layer in layers {
            // Bound without what is mounted below it, under a name without separators.
            let short = format!("l{}", self.layers);
            self.layers += 1;
            bind(&opened(layer)?, &self.scaffold.point(&short)?, Depth::Alone)?;
            lower.push(short);
        }
        lower.reverse();
        let upper = self.place.directory(name)?;
        let work = self.place.directory(&name.replacen("upper", "work", 1))?;
        // The root of an overlay looks like its uppermost layer's.
        if let Some(top) = layers.last() {
            let meta = fs::metadata(top).map_err(at("read", top))?;
            let like = |_| fs::set_permissions(&upper, meta.permissions());
            chown(&upper, Some(meta.uid()), Some(meta.gid()))
                .and_then(like)
                .map_err(at("prepare", &upper))?;
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.join(":"),
            upper.display(),
            work.display()
        );
        let mounted = mount(
            Some("plimsoll"),
            target,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        );
        if let Err(error) = mounted {
            // Nothing but what a later mount of this name would find in its way.
            let _ = fs::remove_dir_all(&upper);
            let _ = fs::remove_dir_all(&work);
            return Err(refused(error));
        }
        Ok(upper)
    }

    fn volume(
        &mut self,
        inside: &mut Inside,
        volume: &Volume,
        number: usize,
    ) -> Result<(), RunError> {
        let forbidden = Forbid {
            writes: volume.read_only,
            devices: true,
        };
        let wrong = |error| at("mount a volume on the container's", &volume.target)(error);
        let (source, target) = match &volume.source {
            Some(source) => {
                let target = if source.is_dir() {
                    inside.directory(&volume.target)?
                } else {
                    inside.file(&volume.target)?
                };
                (opened(source)?, target)
            }
            None => {
                let target = inside.directory(&volume.target)?;
                (self.fresh(target.as_fd(), number)?, target)
            }
        };
        tree::clone_tree(source.as_fd(), Depth::Below)
            .and_then(|copy| {
                tree::forbid(copy.as_fd(), forbidden, Depth::Below)?;
                tree::attach(copy.as_fd(), target.as_fd())
            })
            .map_err(wrong)
    }

    /// A volume of nobody's: what the root has there, copied on write into a place that is thrown
    /// away with the container.
    fn fresh(&mut self, target: BorrowedFd<'_>, number: usize) -> Result<OwnedFd, RunError> {
        let path = self.scaffold.point(&format!("v{number}"))?;
        let lower = self.scaffold.point(&format!("v{number}.lower"))?;
        let copy = tree::clone_tree(target, Depth::Alone);
        let to = opened(&lower)?;
        copy.and_then(|copy| tree::attach(copy.as_fd(), to.as_fd()))
            .map_err(at("bind", &lower))?;
        let name = format!("upper.v{number}");
        if self.overlay(slice::from_ref(&lower), &path, &name).is_ok() {
            return opened(&path);
        }
        // Overlays do not stack at will: then it begins empty.
        let empty = self.place.directory(&name)?;
        let meta = fs::metadata(&lower).map_err(at("read", &lower))?;
        chown(&empty, Some(meta.uid()), Some(meta.gid())).map_err(at("prepare", &empty))?;
        fs::set_permissions(&empty, meta.permissions()).map_err(at("prepare", &empty))?;
        opened(&empty)
    }
}

impl Rootfs {
    /// Remembers what else was made in the root, by its path below it, outer directories first.
    ///
    /// # Errors
    ///
    /// When it cannot be written down.
    pub(crate) fn remember(&mut self, made: Vec<PathBuf>, place: &Place) -> Result<(), RunError> {
        self.traces.made.extend(made);
        self.traces.write(place.path())
    }
}

impl Drop for Rootfs {
    fn drop(&mut self) {
        if self.traces.directory.is_some() {
            // It may be unmounted already, with all that it was mounted in.
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
            self.traces.clear();
        }
    }
}

/// What is ours on the host: other containers' changes, and the daemon's mount points.
fn hidden(view: &Path) -> impl Iterator<Item = &Path> {
    let usual = Path::new(DEFAULT_MOUNTPOINT);
    let configured = (view != usual).then_some(view);
    let ours = dirs::roots().map(|path: &Path| path);
    ours.chain([usual]).chain(configured)
}

/// Covers what is ours on the host.
fn hide(inside: &Inside, view: &Path) -> Result<(), RunError> {
    for path in hidden(view) {
        let Ok(target) = inside.find(path) else {
            continue;
        };
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC;
        tmpfs(&target, flags, "mode=755,size=0").map_err(at("hide", path))?;
    }
    Ok(())
}

/// An empty /run, for the host's is full of its services' sockets; before the volumes, which may
/// lie in it.
fn own_run(inside: &mut Inside) -> Result<(), RunError> {
    let path = Path::new("/run");
    let target = inside.directory(path)?;
    tmpfs(&target, MsFlags::empty(), "mode=755").map_err(at("mount the container's", path))
}

fn tmpfs(target: &OwnedFd, flags: MsFlags, options: &str) -> nix::Result<()> {
    let link = format!("/proc/self/fd/{}", target.as_raw_fd());
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let name = Some("plimsoll");
    mount(name, link.as_str(), Some("tmpfs"), flags, Some(options))
}

fn forbid_devices(inside: &Inside) -> Result<(), RunError> {
    let devices = Forbid {
        writes: false,
        devices: true,
    };
    tree::forbid(inside.root(), devices, Depth::Below).map_err(at("forbid devices in", "the root"))
}

/// The top of every mount of the root that can be written to.
fn tops(rootfs: &Rootfs) -> Result<Vec<OwnedFd>, RunError> {
    let overlays = rootfs
        .traces
        .overlays
        .iter()
        .map(|(below, _)| below.clone());
    let root = match rootfs.traces.directory {
        Some(_) => submounts(&rootfs.path)?,
        None => Vec::new(),
    };
    let own = etc::OWN.iter().map(|name| Path::new("etc").join(name));
    let inside = Inside::open(&rootfs.path)?;
    overlays
        .chain(root)
        .chain(own)
        .map(|path| {
            let path = Path::new("/").join(path);
            inside.find(&path).map_err(at("open the container's", path))
        })
        .collect()
}

/// The mounts at a directory and below it, by their paths below it.
fn submounts(directory: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mounts = own_mounts()?;
    let below = |mount: &&Mount| Some(mount.point.strip_prefix(directory).ok()?.to_owned());
    Ok(visible(&mounts).iter().filter_map(below).collect())
}

fn own_mounts() -> Result<Vec<Mount>, RunError> {
    mountinfo::own().map_err(at("read", "/proc/self/mountinfo"))
}

fn forbid_writes(top: &OwnedFd) -> Result<(), RunError> {
    let writes = Forbid {
        writes: true,
        devices: true,
    };
    tree::forbid(top.as_fd(), writes, Depth::Alone).map_err(at("forbid writes in", "the root"))
}

fn opened(path: &Path) -> Result<OwnedFd, RunError> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(at("open", path))
}

fn bind(source: &OwnedFd, target: &Path, reach: Depth) -> Result<(), RunError> {
    let to = opened(target)?;
    tree::clone_tree(source.as_fd(), reach)
        .and_then(|copy| tree::attach(copy.as_fd(), to.as_fd()))
        .map_err(io::Error::from)
        .map_err(at("bind a directory on", target))
}
