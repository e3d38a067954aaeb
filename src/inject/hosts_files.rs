//! The host's own files, which hide a mount of Plimsoll that the kernel does not let go.
//!
//! A container with a user namespace of its own may not lose a mount that it was given, but may get
//! another one on top. The container must get no more of the host than the files that the view serves.
//! So a tmpfs with these files, one by one, hides a directory of the view: the host's own directory
//! has the host's processes and settings, too.

use super::{binds, detached};
use crate::{
    base::sys::mount::{self, Depth, Forbid},
    view::files::{Attribute, CPUS, FILES, NODES, Rule},
};
use nix::{
    fcntl::{AtFlags, OFlag, open, openat},
    sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat, mkdirat},
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// The source of the tmpfs, as `/proc/PID/mountinfo` shows it.
const SOURCE: &str = "plimsoll-removed";
/// The options of the tmpfs: any user may search it, and the inodes are more than the files below.
const OPTIONS: [(&str, &str); 2] = [("mode", "755"), ("nr_inodes", "128")];

/// The host's own files in the place of a mount of Plimsoll.
#[derive(Debug)]
pub(super) struct HostsFiles {
    /// A copy of the host's file, or the directory for `within`.
    top: OwnedFd,
    /// Copies of the host's files, each with its path in the directory.
    within: Vec<(PathBuf, OwnedFd)>,
}

impl HostsFiles {
    /// Copies the host's files for a mount of Plimsoll whose root in the view is `root`, such as
    /// `/containers/7/proc/meminfo`. The files are those of this process's own root. `None` if the
    /// host has no such file, or the kernel refuses.
    pub(super) fn of(root: &Path) -> Option<HostsFiles> {
        let path = below_tree(root);
        if is_served(path) {
            return Some(HostsFiles {
                top: hosts_file(path)?,
                within: Vec::new(),
            });
        }
        let within = served_files().into_iter().filter_map(|file| {
            let below = file.strip_prefix(path).ok()?;
            Some((below.to_owned(), hosts_file(&file)?))
        });
        let within: Vec<_> = within.collect();
        Some(HostsFiles {
            top: directory(&within).ok()?,
            within,
        })
    }

    /// Returns the mount that hides that of Plimsoll.
    pub(super) fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Mounts the files in the directory, which is mounted already.
    pub(super) fn fill(&self) -> nix::Result<()> {
        let mut within = self.within.iter();
        within.try_for_each(|(path, file)| detached::cover_within(self.top(), path, file.as_fd()))
    }
}

/// Returns the part of a path in the view below the root of a served tree: `proc/meminfo` of
/// `/proc/meminfo` and of `/containers/7/proc/meminfo`. Empty for anything above.
fn below_tree(root: &Path) -> &Path {
    let mut parts = root.components();
    loop {
        let path = parts.as_path();
        if path.starts_with("proc") || path.starts_with("sys") || parts.next().is_none() {
            return path;
        }
    }
}

/// Returns whether the view serves a file with that path.
fn is_served(path: &Path) -> bool {
    let attribute = path.to_str().and_then(Attribute::at);
    FILES.iter().any(|file| Path::new(file.path()) == path)
        || attribute.is_some_and(|attribute| attribute.rule() != Rule::Directory)
}

/// Lists the served files, but for those in directories of single CPUs and memory nodes.
fn served_files() -> Vec<PathBuf> {
    let attributes = [CPUS, NODES].into_iter().flat_map(Attribute::in_directory);
    let attributes = attributes.map(Attribute::path);
    let files = FILES.into_iter().map(|file| file.path().to_owned());
    let all = files.chain(attributes).map(PathBuf::from);
    all.filter(|path| is_served(path)).collect()
}

/// Returns a detached copy of the host's own file at `path`, relative to this process's root.
fn hosts_file(path: &Path) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = open(&Path::new("/").join(path), flags, Mode::empty()).ok()?;
    let status = fstatat(&file, "", AtFlags::AT_EMPTY_PATH).ok()?;
    let is_regular = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    let mut binds = binds();
    let forbidden = Forbid {
        writes: !binds.any(|bind| bind.is_written && Path::new(bind.path) == path),
        devices: true,
        programs: true,
    };
    (is_regular.then(|| detached::copy(&file, forbidden)))?.ok()
}

/// Makes a detached read-only tmpfs with an empty file for each of `files`.
fn directory(files: &[(PathBuf, OwnedFd)]) -> nix::Result<OwnedFd> {
    let tmpfs = mount::new_tmpfs(SOURCE, &OPTIONS)?;
    for (path, _) in files {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        while let Some(directory) = above.pop() {
            // An empty path is the tmpfs itself; a directory may be there already.
            if mkdirat(&tmpfs, directory, Mode::S_IRWXU).is_ok() {
                // Not subject to the umask.
                let mode = Mode::from_bits_truncate(0o755);
                fchmodat(&tmpfs, directory, mode, FchmodatFlags::FollowSymlink)?;
            }
        }
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        openat(&tmpfs, path, flags, Mode::empty())?;
    }
    mount::forbid(tmpfs.as_fd(), Forbid::writes_if(true), Depth::Alone)?;
    Ok(tmpfs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_view_names_a_file_of_the_host_in_whatever_tree_it_is() {
        for (root, path) in [
            ("/proc/meminfo", "proc/meminfo"),
            ("/containers/7/proc/stat", "proc/stat"),
            ("/7/sys/devices/system/cpu", "sys/devices/system/cpu"),
            ("/.direct/7/proc", "proc"),
            ("/containers/7", ""),
            ("/", ""),
        ] {
            assert_eq!(below_tree(Path::new(root)), Path::new(path), "{root}");
        }
    }

    #[test]
    fn no_directory_counts_as_a_served_file() {
        for path in ["", "proc", "sys", CPUS, NODES, "proc/pressure", "proc/1"] {
            assert!(!is_served(Path::new(path)), "{path}");
        }
        let cpu = "sys/devices/system/cpu/cpu0/topology/core_id";
        assert!(is_served(Path::new(cpu)) && is_served(Path::new("proc/meminfo")));
    }
}
