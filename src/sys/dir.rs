//! A directory that is held open, below which files are read by relative path.

use nix::{
    fcntl::{AtFlags, OFlag, openat},
    sys::stat::{Mode, fstatat},
};
use std::{
    ffi::OsString,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// A directory held open: `/proc`, the root of a cgroup hierarchy, or a captured copy of either.
///
/// What is mounted over its path later does not matter any more.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

impl Dir {
    /// Holds the directory at `path`.
    ///
    /// # Errors
    /// Those of `open(2)`; `ENOTDIR` if `path` is something else.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Dir::open_at(nix::fcntl::AT_FDCWD, path)
    }

    /// Holds the directory at `path` below this one.
    ///
    /// # Errors
    /// Those of `openat(2)`; `ENOTDIR` if `path` is something else.
    pub fn dir(&self, path: &Path) -> io::Result<Dir> {
        Dir::open_at(self.fd.as_fd(), relative(path))
    }

    fn open_at(base: impl AsFd, path: &Path) -> io::Result<Dir> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(base, path, flags, Mode::empty())?;
        Ok(Dir { fd })
    }

    /// The whole content of the file at `path` below this directory.
    ///
    /// # Errors
    /// Those of `openat(2)` and `read(2)`.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let fd = openat(self.fd.as_fd(), relative(path), flags, Mode::empty())?;
        // The size and the position that `read_to_end` would ask for say nothing of such a file.
        let mut content = vec![0; 4096];
        let mut filled = 0;
        loop {
            let room = content.get_mut(filled..).unwrap_or_default();
            match nix::unistd::read(&fd, room) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if filled == content.len() {
                content.resize(filled * 2, 0);
            }
        }
        content.truncate(filled);
        Ok(content)
    }

    /// The file at `path` below this directory, opened for reading and writing; never made.
    ///
    /// # Errors
    /// Those of `openat(2)`.
    pub fn writable(&self, path: &Path) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let fd = openat(self.fd.as_fd(), relative(path), flags, Mode::empty())?;
        Ok(File::from(fd))
    }

    /// [`Dir::read`] as text; bytes that are no UTF-8 (a process may have any name) are replaced.
    ///
    /// # Errors
    /// Those of [`Dir::read`].
    pub fn text(&self, path: &Path) -> io::Result<String> {
        self.read(path).map(|content| {
            String::from_utf8(content)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        })
    }

    /// The inode number of what is at `path` below this directory.
    ///
    /// # Errors
    /// Those of `fstatat(2)`.
    pub fn inode(&self, path: &Path) -> io::Result<u64> {
        let stat = fstatat(
            self.fd.as_fd(),
            relative(path),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )?;
        Ok(stat.st_ino)
    }

    /// The names of the directories in the directory at `path` below this one, in no order.
    ///
    /// # Errors
    /// Those of `openat(2)` and `getdents(2)`.
    pub fn directories(&self, path: &Path) -> io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStrExt;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let entries = nix::dir::Dir::openat(self.fd.as_fd(), relative(path), flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let is_directory = entry.file_type() == Some(nix::dir::Type::Directory);
            if is_directory && name != b"." && name != b".." {
                names.push(std::ffi::OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Whether there is something at `path` below this directory.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        fstatat(
            self.fd.as_fd(),
            relative(path),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )
        .is_ok()
    }

    /// Where the directory is now, as this process sees it.
    ///
    /// # Errors
    /// Those of `readlink(2)` on `/proc/self/fd`.
    pub fn path(&self) -> io::Result<PathBuf> {
        use std::os::fd::AsRawFd;
        std::fs::read_link(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Dir {
        Dir { fd }
    }
}

// Paths in `/proc/PID/cgroup` begin with `/`, which `openat` would take for the root.
fn relative(path: &Path) -> &Path {
    match path.strip_prefix("/") {
        Ok(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Ok(rest) => rest,
        Err(_) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_below_the_directory_even_if_it_looks_absolute() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("a")).unwrap();
        std::fs::write(place.path().join("a/b"), "text").unwrap();
        let dir = Dir::open(place.path()).unwrap();
        assert_eq!(dir.text(Path::new("/a/b")).unwrap(), "text");
        assert_eq!(dir.directories(Path::new("/")).unwrap(), ["a"]);
        assert_eq!(
            dir.dir(Path::new("a"))
                .unwrap()
                .text(Path::new("b"))
                .unwrap(),
            "text"
        );
    }

    #[test]
    fn a_name_that_is_no_text_is_still_read() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("comm"), b"a\xffb").unwrap();
        let dir = Dir::open(place.path()).unwrap();
        assert_eq!(dir.text(Path::new("comm")).unwrap(), "a\u{fffd}b");
    }
}
