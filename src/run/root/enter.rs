//! The way of process 1 into its root, and the paths there that a container may not read or write.

use std::{
    env, fs,
    io::ErrorKind,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::{Mode, SFlag, fstat, makedev},
    unistd::{fchdir, pivot_root},
};

use crate::{
    base::sys::mount::{Depth, Forbid, attach, clone_tree, forbid},
    run::{
        error::{RunError, at, step},
        root::bind::open_path,
    },
};

/// The restriction of a read-only path.
const READ_ONLY_PATH: Forbid = Forbid {
    writes: true,
    devices: true,
    programs: true,
};

/// Makes the root at `path`, a mount point, the root of this process's mount namespace, and takes
/// the former root out of the namespace.
///
/// # Errors
///
/// A root that the kernel refuses.
pub(crate) fn enter_root(path: &Path) -> Result<(), RunError> {
    let directory = |path: &Path| {
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
        open(path, flags, Mode::empty()).map_err(at("open", path))
    };
    let (old, new) = (directory(Path::new("/"))?, directory(path)?);
    let wrong = step("enter the container's root");
    let entered = fchdir(&new)
        // Both roots lie on each other then, so no directory must be made for the former one.
        .and_then(|()| pivot_root(".", "."))
        .and_then(|()| fchdir(&old))
        .and_then(|()| umount2(".", MntFlags::MNT_DETACH));
    entered.map_err(wrong)?;
    env::set_current_dir("/").map_err(at("enter", "/"))
}

/// Makes paths of the root read-only. The mounts below each path stay, with their own attributes. A
/// path that is missing is left.
///
/// # Errors
///
/// A path that cannot be opened, and a mount that the kernel refuses.
pub(crate) fn make_read_only(paths: &[&str]) -> Result<(), RunError> {
    for path in paths {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let target = match open(*path, flags, Mode::empty()) {
            Err(Errno::ENOENT) => continue,
            target => target.map_err(at("open the container's", *path))?,
        };
        clone_tree(target.as_fd(), Depth::Below)
            .and_then(|copy| {
                forbid(copy.as_fd(), READ_ONLY_PATH, Depth::Alone)?;
                attach(copy.as_fd(), target.as_fd())
            })
            .map_err(at("forbid writes in the container's", *path))?;
    }
    Ok(())
}

/// Covers paths of the root: a directory by an empty one, any other file by /dev/null. A path that
/// is missing is left.
///
/// # Errors
///
/// A path that cannot be examined, and a mount that the kernel refuses.
pub(crate) fn mask(paths: &[PathBuf]) -> Result<(), RunError> {
    let null = open_path(Path::new("/dev/null"))?;
    if !is_null(&null)? {
        return Err(at("use the container's", "/dev/null")(Errno::ENODEV));
    }
    for path in paths {
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata.map_err(at("hide the container's", path))?,
        };
        let masked = match metadata.is_dir() {
            true => mount(
                Some("tmpfs"),
                path,
                Some("tmpfs"),
                MsFlags::MS_RDONLY,
                None::<&str>,
            ),
            false => {
                let target = open_path(path)?;
                let copy = clone_tree(null.as_fd(), Depth::Alone);
                copy.and_then(|copy| attach(copy.as_fd(), target.as_fd()))
            }
        };
        masked.map_err(at("hide the container's", path))?;
    }
    Ok(())
}

/// Returns whether an open file is the device /dev/null.
///
/// # Errors
///
/// The errors of `fstat(2)`.
pub(crate) fn is_null(file: impl AsFd) -> Result<bool, RunError> {
    let stat = fstat(file).map_err(step("look for /dev/null"))?;
    let is_device = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    Ok(is_device && stat.st_rdev == makedev(1, 3))
}
