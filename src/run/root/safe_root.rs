//! Paths inside a container's root, which may hold anything: no link leads out of it.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat},
    sys::stat::{Mode, SFlag, fstatat, mkdirat},
    unistd::{UnlinkatFlags, unlinkat},
};

use crate::run::error::{RunError, at};

/// The largest text that is read from a container's root.
const LARGEST: u64 = 4 << 20;

/// A container's root, before it runs.
#[derive(Debug)]
pub(crate) struct Inside {
    root: OwnedFd,
    path: PathBuf,
    made: Vec<PathBuf>,
}

impl Inside {
    /// The root at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Inside, RunError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(at("open", path))?;
        Ok(Inside {
            root,
            path: path.to_owned(),
            made: Vec::new(),
        })
    }

    /// The root itself.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// What was made for mounts, by its path below the root, outer directories first.
    pub(crate) fn made(self) -> Vec<PathBuf> {
        self.made
    }

    /// Where a path leads, without the right to read or write it.
    pub(crate) fn find(&self, path: &Path) -> nix::Result<OwnedFd> {
        self.opened(path, OFlag::O_PATH)
    }

    /// The text of a file; nothing when there is none, or when it is no plain text file.
    pub(crate) fn text(&self, path: &str) -> String {
        let mut text = String::new();
        // Not blocked by a pipe that the root may hold there.
        if let Ok(file) = self.opened(Path::new(path), OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            let _ = File::from(file).take(LARGEST).read_to_string(&mut text);
        }
        text
    }

    /// The directory at `path`, made with those above it where it is missing.
    ///
    /// # Errors
    ///
    /// When a part of the path is no directory, or cannot be made.
    pub(crate) fn directory(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let wrong = |error| at("make the container's directory", path)(error);
        let mut so_far = PathBuf::from("/");
        let mut above = self.find(&so_far).map_err(wrong)?;
        for part in path.components() {
            let Component::Normal(part) = part else {
                continue;
            };
            so_far.push(part);
            above = match self.opened(&so_far, OFlag::O_PATH | OFlag::O_DIRECTORY) {
                Err(Errno::ENOENT) => {
                    let mode = Mode::from_bits_truncate(0o755);
                    mkdirat(&above, part, mode).map_err(wrong)?;
                    let made = self.below(&above, Path::new(part));
                    self.made.push(made);
                    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
                    openat(&above, part, flags | OFlag::O_CLOEXEC, Mode::empty()).map_err(wrong)?
                }
                found => found.map_err(wrong)?,
            };
        }
        Ok(above)
    }

    /// The file at `path`, made empty where it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn file(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        match self.find(path) {
            Err(Errno::ENOENT) => self.fresh(path),
            found => found.map_err(at("open the container's", path)),
        }
    }

    /// The file at `path`, made empty where it is missing or a symbolic link.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn file_itself(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let wrong = |error| at("replace the container's", path)(error);
        let above = self.directory(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or_default();
        let stat = fstatat(&above, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let link = stat.is_ok_and(|stat| {
            SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK
        });
        if link {
            unlinkat(&above, name, UnlinkatFlags::NoRemoveDir).map_err(wrong)?;
        }
        self.file(path)
    }

    /// The file at `path`, made empty where it is missing, or where a link at `path` leads.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn file_behind(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let above = self.directory(parent)?;
        let link = readlinkat(&above, path.file_name().unwrap_or_default());
        match (self.find(path), link) {
            (Err(Errno::ENOENT), Ok(link)) => {
                let mut end = PathBuf::new();
                for part in parent.join(link).components() {
                    match part {
                        Component::ParentDir => drop(end.pop()),
                        part => end.push(part),
                    }
                }
                self.file(&end)
            }
            _ => self.file(path),
        }
    }

    fn fresh(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let above = self.directory(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or_default();
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o644);
        let file = openat(&above, name, flags | OFlag::O_WRONLY, mode)
            .map_err(at("make the container's", path))?;
        let made = self.below(&above, Path::new(name));
        self.made.push(made);
        Ok(file)
    }

    fn opened(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.root, path, how)
    }

    /// The path below the root of what lies in an open directory, with every link resolved.
    fn below(&self, directory: &OwnedFd, name: &Path) -> PathBuf {
        let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let real = std::fs::read_link(link).unwrap_or_default();
        let above = real.strip_prefix(&self.path).unwrap_or(Path::new(""));
        above.join(name)
    }
}
