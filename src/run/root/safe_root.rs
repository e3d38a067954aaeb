//! Paths inside a container's root. The root may hold any link, and no link leads out of the root.

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

use crate::{
    base::sys,
    run::error::{RunError, at},
};

/// The maximum size in bytes of a text that is read from a container's root.
const MAX_TEXT_SIZE: u64 = 4 << 20;

/// A container's root, before the container runs.
#[derive(Debug)]
pub(crate) struct SafeRoot {
    root: OwnedFd,
    path: PathBuf,
    created: Vec<PathBuf>,
}

impl SafeRoot {
    /// Opens the root at `path`.
    ///
    /// # Errors
    ///
    /// A path that is not a directory, or cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<SafeRoot, RunError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(at("open", path))?;
        Ok(SafeRoot {
            root,
            path: path.to_owned(),
            created: Vec::new(),
        })
    }

    /// Returns the root itself.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Returns the files and directories that were created here, by their paths below the root,
    /// parents first.
    pub(crate) fn into_created(self) -> Vec<PathBuf> {
        self.created
    }

    /// Opens the object at a path, without the right to read or write the object.
    ///
    /// # Errors
    ///
    /// The answer of `openat2`; ENOENT for a missing path.
    pub(crate) fn open_path(&self, path: &Path) -> nix::Result<OwnedFd> {
        self.open_with(path, OFlag::O_PATH)
    }

    /// Reads a file, at most [`MAX_TEXT_SIZE`] bytes; returns an empty text for a missing file.
    /// Bytes that are no UTF-8 are replaced.
    pub(crate) fn read_text(&self, path: &str) -> String {
        // Without O_NONBLOCK a pipe at this path would block the open.
        let file = self.open_with(Path::new(path), OFlag::O_RDONLY | OFlag::O_NONBLOCK);
        file.map_or_else(
            |_| String::new(),
            |file| sys::text_from(File::from(file).take(MAX_TEXT_SIZE)),
        )
    }

    /// Opens the directory at `path`. Creates a missing directory, and its parents.
    ///
    /// # Errors
    ///
    /// A part of the path that is not a directory, or cannot be created.
    pub(crate) fn create_dir(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let wrong = |error| at("create the container's directory", path)(error);
        let mut so_far = PathBuf::from("/");
        let mut parent = self.open_path(&so_far).map_err(wrong)?;
        for part in path.components() {
            let Component::Normal(part) = part else {
                continue;
            };
            so_far.push(part);
            parent = match self.open_with(&so_far, OFlag::O_PATH | OFlag::O_DIRECTORY) {
                Err(Errno::ENOENT) => {
                    let mode = Mode::from_bits_truncate(0o755);
                    mkdirat(&parent, part, mode).map_err(wrong)?;
                    let created = self.path_in(&parent, Path::new(part));
                    self.created.push(created);
                    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
                    openat(&parent, part, flags | OFlag::O_CLOEXEC, Mode::empty()).map_err(wrong)?
                }
                found => found.map_err(wrong)?,
            };
        }
        Ok(parent)
    }

    /// Opens the directory at `path`, to which no link leads.
    ///
    /// # Errors
    ///
    /// The answer of `openat2`; ELOOP for a link.
    pub(crate) fn open_without_links(&self, path: &Path) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
        openat2(&self.root, path, how)
    }

    /// Opens the file at `path`. Creates a missing file, empty.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened or created.
    pub(crate) fn create_file(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        match self.open_path(path) {
            Err(Errno::ENOENT) => self.create_new(path),
            found => found.map_err(at("open the container's", path)),
        }
    }

    /// Opens the file at `path`. Replaces a symbolic link by an empty file, and creates a missing
    /// file.
    ///
    /// # Errors
    ///
    /// A link that cannot be removed, and a file that cannot be created.
    pub(crate) fn replace_link(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let wrong = |error| at("replace the container's", path)(error);
        let parent = self.create_dir(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or_default();
        let stat = fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let is_link = stat.is_ok_and(|stat| {
            SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK
        });
        if is_link {
            unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir).map_err(wrong)?;
        }
        self.create_file(path)
    }

    /// Opens the file at `path`, or the target of a symbolic link at `path`. Creates a missing file
    /// or target, empty.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened or created.
    pub(crate) fn follow_link(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let directory = self.create_dir(parent)?;
        let link = readlinkat(&directory, path.file_name().unwrap_or_default());
        match (self.open_path(path), link) {
            (Err(Errno::ENOENT), Ok(link)) => {
                let mut target = PathBuf::new();
                for part in parent.join(link).components() {
                    match part {
                        Component::ParentDir => drop(target.pop()),
                        part => target.push(part),
                    }
                }
                self.create_file(&target)
            }
            _ => self.create_file(path),
        }
    }

    fn create_new(&mut self, path: &Path) -> Result<OwnedFd, RunError> {
        let parent = self.create_dir(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or_default();
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o644);
        let file = openat(&parent, name, flags | OFlag::O_WRONLY, mode)
            .map_err(at("create the container's", path))?;
        let created = self.path_in(&parent, Path::new(name));
        self.created.push(created);
        Ok(file)
    }

    fn open_with(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.root, path, how)
    }

    /// Returns the path below the root of `name` in an open directory, with every link resolved.
    fn path_in(&self, directory: &OwnedFd, name: &Path) -> PathBuf {
        let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let real = std::fs::read_link(link).unwrap_or_default();
        let directory = real.strip_prefix(&self.path).unwrap_or(Path::new(""));
        directory.join(name)
    }
}
