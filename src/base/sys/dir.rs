//! A directory that is held open, below which files are read by relative path.

use super::{
    budget::Budget,
    held_files::HeldFiles,
    whole::{Records, whole},
};
use nix::{
    fcntl::{AtFlags, OFlag, openat},
    sys::{
        stat::{Mode, fstatat},
        statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, PROC_SUPER_MAGIC, fstatfs},
    },
};
use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// A directory held open: `/proc`, the root of a cgroup hierarchy, or a captured copy of either.
///
/// What is mounted over its path later does not matter any more.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    kept: Option<HeldFiles>,
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
        Ok(Dir { fd, kept: None })
    }

    /// The whole content of the file at `path` below this directory.
    ///
    /// # Errors
    /// Those of `openat(2)` and `read(2)`.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read_and_hold(path).map(|(_, content)| content)
    }

    /// The first bytes of the file at `path` below this directory, `most` at most: the kernel does
    /// not make the rest.
    ///
    /// # Errors
    /// Those of [`Dir::read`].
    pub fn start(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        let fd = self.opened(path)?;
        let most = u64::try_from(most).map_err(io::Error::other)?;
        let mut content = Vec::new();
        File::from(fd).take(most).read_to_end(&mut content)?;
        Ok(content)
    }

    /// [`Dir::read`] of a file that will be read again: it is held open, if files are
    /// [kept](Dir::keeping) here.
    ///
    /// # Errors
    /// Those of [`Dir::read`].
    pub fn read_again(&self, path: &Path) -> io::Result<Vec<u8>> {
        let Some(kept) = &self.kept else {
            return self.read(path);
        };
        if let Some(content) = kept.read(path) {
            return content;
        }
        let fd = self.opened(path)?;
        let content = whole(|room, _| nix::unistd::read(&fd, room), kept.records())?;
        kept.hold(path, fd);
        Ok(content)
    }

    /// [`Dir::read`], and the file, which is still open.
    ///
    /// # Errors
    /// Those of [`Dir::read`].
    pub fn read_and_hold(&self, path: &Path) -> io::Result<(OwnedFd, Vec<u8>)> {
        let fd = self.opened(path)?;
        let content = whole(|room, _| nix::unistd::read(&fd, room), Records::Any)?;
        Ok((fd, content))
    }

    fn opened(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        Ok(openat(
            self.fd.as_fd(),
            relative(path),
            flags,
            Mode::empty(),
        )?)
    }

    /// The same directory, in which files that are read again are held open, as many as the budget
    /// has room for; all of them have such records.
    ///
    /// Only for a file system of the kernel's facts, whose files are not replaced by others.
    #[must_use]
    pub fn keeping(self, budget: Budget, records: Records) -> Dir {
        Dir {
            kept: Some(HeldFiles::new(budget, records)),
            ..self
        }
    }

    /// Whether it lies in a file system of the kernel's facts.
    #[must_use]
    pub fn is_of_kernel(&self) -> bool {
        let kinds = [PROC_SUPER_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC];
        fstatfs(self.fd.as_fd()).is_ok_and(|fs| kinds.contains(&fs.filesystem_type()))
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
        self.read(path).map(text)
    }

    /// [`Dir::read_again`] as text, as [`Dir::text`] has it.
    ///
    /// # Errors
    /// Those of [`Dir::read`].
    pub fn text_again(&self, path: &Path) -> io::Result<String> {
        self.read_again(path).map(text)
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
    /// In a file system that counts links as the kernel's own and most on disks do: 2 and one for
    /// each directory, or always 1.
    ///
    /// # Errors
    /// Those of `openat(2)` and `getdents(2)`.
    pub fn directories(&self, path: &Path) -> io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStrExt;
        // Each directory below counts as a link, in cgroupfs too: whoever has none need not be read.
        let stat = fstatat(self.fd.as_fd(), relative(path), AtFlags::empty())?;
        if stat.st_nlink == 2 {
            return Ok(Vec::new());
        }
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
        Dir { fd, kept: None }
    }
}

/// The content of a file as text; bytes that are no UTF-8 are replaced.
#[must_use]
pub fn text(content: Vec<u8>) -> String {
    String::from_utf8(content)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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
    fn the_start_of_a_file_is_no_longer_than_asked_for() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a"), "text").unwrap();
        let dir = Dir::open(place.path()).unwrap();
        assert_eq!(dir.start(Path::new("a"), 2).unwrap(), b"te");
        assert_eq!(dir.start(Path::new("a"), 9).unwrap(), b"text");
    }

    #[test]
    fn a_name_that_is_no_text_is_still_read() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("comm"), b"a\xffb").unwrap();
        let dir = Dir::open(place.path()).unwrap();
        assert_eq!(dir.text(Path::new("comm")).unwrap(), "a\u{fffd}b");
    }
}
