//! The directory of one container in the view.

use super::{Bind, detached, target};
use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::{CONTAINERS, FS_TYPE, SELF},
        sys::{self, mount::Forbid},
        units::Key,
    },
    view::files::CPUS,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open, openat},
    sys::stat::Mode,
    unistd::read,
};
use std::{
    cell::RefCell,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Returns whether a daemon serves the view at `view`, and answers.
#[must_use]
pub fn is_served(view: &Path) -> bool {
    let Ok(mounts) = mountinfo::own() else {
        return false;
    };
    let is_mounted = mountinfo::visible(&mounts)
        .iter()
        .any(|mount| mount.point == view && mount.kind == FS_TYPE);
    // The mount of a dead daemon is still listed, but reads there fail.
    is_mounted && fs::read_dir(view.join("proc")).is_ok()
}

/// The message about a view that no daemon serves, with the way to start one.
#[must_use]
pub fn not_served(view: &Path) -> String {
    let view = view.display();
    format!("no daemon serves {view}: systemctl start plimsoll, or plimsoll daemon {view}")
}

/// An error that keeps a container's files in the view from being opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    /// No daemon serves the view, or the daemon is dead.
    #[error("{}{}", not_served(view), because(*reason))]
    NotServed {
        /// The mount point of the view.
        view: PathBuf,
        /// The kernel's answer; `None` if something else is mounted there.
        reason: Option<Errno>,
    },
    /// A file or directory of the view cannot be opened.
    #[error("cannot open {}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

fn because(error: Option<Errno>) -> String {
    // Nothing is mounted there, as the message says.
    let error = error.filter(|error| *error != Errno::ENOENT);
    error.map_or(String::new(), |error| {
        format!(" ({})", error.desc().to_lowercase())
    })
}

/// The container whose directory is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TreeOwner {
    /// The container that this process is in.
    Caller,
    /// The container with this key.
    Container(Key),
}

/// A served file or directory as a mount that stands nowhere yet.
#[derive(Debug)]
pub(super) struct DetachedMount {
    /// The mount.
    pub(super) fd: OwnedFd,
    /// The file in the view of which the mount is a copy.
    file: OwnedFd,
}

/// A container's directory in the view, held open.
#[derive(Debug)]
pub(super) struct ContainerTree<'a> {
    directory: OwnedFd,
    path: PathBuf,
    mounts: &'a [Mount],
    /// A directory that the view does not have, found by the last look-up below it.
    lacking: RefCell<Option<&'static Path>>,
}

impl ContainerTree<'_> {
    /// Opens the directory of `owner` in the view at `view`; `mounts` are those of this process.
    pub(super) fn open<'a>(
        view: &Path,
        owner: TreeOwner,
        mounts: &'a [Mount],
    ) -> Result<ContainerTree<'a>, TreeError> {
        let not_served = |reason| TreeError::NotServed {
            view: view.to_owned(),
            reason,
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let all = view.join(CONTAINERS);
        let all = open(&all, flags, Mode::empty()).map_err(|error| not_served(Some(error)))?;
        let served = target::mount_of(&all, mounts);
        if served.is_none_or(|mount| mount.kind != FS_TYPE) {
            return Err(not_served(None));
        }
        let name = match owner {
            TreeOwner::Caller => SELF.to_owned(),
            TreeOwner::Container(key) => key.to_string(),
        };
        let path = view.join(CONTAINERS).join(&name);
        match openat(&all, name.as_str(), flags, Mode::empty()) {
            Ok(directory) => Ok(ContainerTree {
                directory,
                path,
                mounts,
                lacking: RefCell::default(),
            }),
            Err(error @ (Errno::ENOTCONN | Errno::ECONNABORTED)) => Err(not_served(Some(error))),
            Err(error) => Err(TreeError::Refused {
                path,
                source: error.into(),
            }),
        }
    }

    /// Returns whether the container's limits leave it less than the whole machine, by memory or by
    /// CPUs.
    pub(super) fn is_limited(&self) -> Result<bool, TreeError> {
        for path in ["proc/meminfo", &format!("{CPUS}/online")] {
            let own = self.text(path)?;
            let hosts = Path::new("/").join(path);
            let hosts = sys::read_text(&hosts).map_err(|source| TreeError::Refused {
                path: hosts,
                source,
            })?;
            // The first line of meminfo is the total; a served file may have spaces at line ends.
            let first = |text: &str| text.lines().next().map(|line| line.trim().to_owned());
            if first(&own) != first(&hosts) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the mount for `bind`; `None` if the view has no such file.
    pub(super) fn tree(&self, bind: Bind) -> Result<Option<DetachedMount>, TreeError> {
        let above = Path::new(bind.path).parent();
        if above.is_some() && above == *self.lacking.borrow() {
            return Ok(None);
        }
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let found = |path: &Path| openat(&self.directory, path, flags, Mode::empty());
        let file = match found(Path::new(bind.path)) {
            Ok(file) => file,
            Err(Errno::ENOENT) => {
                let lacks = |above: &&Path| found(above).err() == Some(Errno::ENOENT);
                *self.lacking.borrow_mut() = above.filter(lacks);
                return Ok(None);
            }
            Err(error) => return Err(self.refused(bind.path, error)),
        };
        let fd = detached::copy(&file, Forbid::writes_if(!bind.is_written));
        let fd = fd.map_err(|error| self.refused(bind.path, error))?;
        Ok(Some(DetachedMount { fd, file }))
    }

    /// Returns whether `mount`, in a container, shows the same file as `tree`.
    pub(super) fn is_at(&self, tree: &DetachedMount, mount: &Mount) -> bool {
        if mount.kind != FS_TYPE {
            return false;
        }
        let own = target::mount_of(&tree.file, self.mounts);
        let (Some(own), Ok(path)) = (own, target::name(&tree.file)) else {
            return false;
        };
        let below = path.strip_prefix(&own.point).unwrap_or(&path);
        mount.device == own.device && mount.root == own.root.join(below)
    }

    fn text(&self, path: &str) -> Result<String, TreeError> {
        let refused = |error| self.refused(path, error);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.directory, path, flags, Mode::empty()).map_err(refused)?;
        let mut room = [0; 4096];
        let length = read(&file, &mut room).map_err(refused)?;
        Ok(String::from_utf8_lossy(room.get(..length).unwrap_or_default()).into_owned())
    }

    fn refused(&self, path: &str, error: Errno) -> TreeError {
        TreeError::Refused {
            path: self.path.join(path),
            source: error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_without_a_daemon_is_named_once_with_the_way_to_start_one() {
        let view = Path::new("/nowhere");
        let said = |reason| {
            let view = view.to_owned();
            sys::chain(&TreeError::NotServed { view, reason })
        };
        let expected =
            "no daemon serves /nowhere: systemctl start plimsoll, or plimsoll daemon /nowhere";
        assert_eq!(said(Some(Errno::ENOENT)), expected);
        assert_eq!(said(None), expected);
        let dead = said(Some(Errno::ENOTCONN));
        assert!(dead.ends_with("not connected)"), "{dead}");
        assert!(!is_served(view));
    }
}
