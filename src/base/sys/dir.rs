//! A directory that is held open, and reads of the files below by relative path.

use super::{
    budget::Budget,
    held_files::HeldFiles,
    read_all::{Records, read_all},
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
/// A later mount over the path of the directory has no effect on the reads.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    held: Option<HeldFiles>,
}

impl Dir {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// The errors of `open(2)`; ENOTDIR when `path` is no directory.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Dir::open_at(nix::fcntl::AT_FDCWD, path)
    }

    /// Opens the directory at `path` below this one.
    ///
    /// # Errors
    /// The errors of `openat(2)`; ENOTDIR when `path` is no directory.
    pub fn dir(&self, path: &Path) -> io::Result<Dir> {
        Dir::open_at(self.fd.as_fd(), relative(path))
    }

    fn open_at(base: impl AsFd, path: &Path) -> io::Result<Dir> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(base, path, flags, Mode::empty())?;
        Ok(Dir { fd, held: None })
    }

    /// Reads the whole file at `path` below this directory.
    ///
    /// # Errors
    /// The errors of `openat(2)` and `read(2)`.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read_and_hold(path).map(|(_, content)| content)
    }

    /// Reads at most the first `max` bytes of the file at `path` below this directory. The kernel does
    /// not make the rest of the file.
    ///
    /// # Errors
    /// The errors of [`Dir::read`].
    pub fn read_prefix(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        let fd = self.opened(path)?;
        let max = u64::try_from(max).map_err(io::Error::other)?;
        let mut content = Vec::new();
        File::from(fd).take(max).read_to_end(&mut content)?;
        Ok(content)
    }

    /// Reads a file as [`Dir::read`] does, and holds the file open for the next read, if this
    /// directory [holds files](Dir::holding_files).
    ///
    /// # Errors
    /// The errors of [`Dir::read`].
    pub fn read_held(&self, path: &Path) -> io::Result<Vec<u8>> {
        let Some(held) = &self.held else {
            return self.read(path);
        };
        if let Some(content) = held.read(path) {
            return content;
        }
        let fd = self.opened(path)?;
        let content = read_all(|room, _| nix::unistd::read(&fd, room), held.records())?;
        held.hold(path, fd);
        Ok(content)
    }

    /// Reads a file as [`Dir::read`] does, and returns the open file too.
    ///
    /// # Errors
    /// The errors of [`Dir::read`].
    pub fn read_and_hold(&self, path: &Path) -> io::Result<(OwnedFd, Vec<u8>)> {
        let fd = self.opened(path)?;
        let content = read_all(|room, _| nix::unistd::read(&fd, room), Records::Any)?;
        Ok((fd, content))
    }

    /// Opens the file at `path` below this directory for reading.
    ///
    /// # Errors
    /// The errors of `openat(2)`.
    pub fn readable(&self, path: &Path) -> io::Result<File> {
        self.opened(path).map(File::from)
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

    /// Makes [`Dir::read_held`] hold files open, at most as many as `budget` allows. Every file has
    /// records of length `records`.
    ///
    /// A pseudo file system is required: in another one a file may be replaced by a new file of
    /// the same name.
    #[must_use]
    pub fn holding_files(self, budget: Budget, records: Records) -> Dir {
        Dir {
            held: Some(HeldFiles::new(budget, records)),
            ..self
        }
    }

    /// Closes held files that nobody read for a minute, some at a time.
    pub fn close_idle(&self) {
        self.held.iter().for_each(HeldFiles::close_idle);
    }

    /// Returns true when the directory lies in procfs, cgroup v1 or cgroup v2.
    #[must_use]
    pub fn is_pseudo_fs(&self) -> bool {
        let kinds = [PROC_SUPER_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC];
        fstatfs(self.fd.as_fd()).is_ok_and(|fs| kinds.contains(&fs.filesystem_type()))
    }

    /// Opens the existing file at `path` below this directory for reading and writing.
    ///
    /// # Errors
    /// The errors of `openat(2)`.
    pub fn writable(&self, path: &Path) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let fd = openat(self.fd.as_fd(), relative(path), flags, Mode::empty())?;
        Ok(File::from(fd))
    }

    /// Writes a value into the existing file at `path` below this directory, in one call.
    ///
    /// # Errors
    /// The errors of `openat(2)` and `write(2)`.
    pub fn set(&self, path: &Path, value: &str) -> io::Result<()> {
        use std::io::Write;
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let fd = openat(self.fd.as_fd(), relative(path), flags, Mode::empty())?;
        File::from(fd).write_all(value.as_bytes())
    }

    /// Reads a file as [`Dir::read`] does, as text. Bytes that are no UTF-8 are replaced: a process may
    /// have any name.
    ///
    /// # Errors
    /// The errors of [`Dir::read`].
    pub fn text(&self, path: &Path) -> io::Result<String> {
        self.read(path).map(text)
    }

    /// Reads a file as [`Dir::read_held`] does, as text like [`Dir::text`].
    ///
    /// # Errors
    /// The errors of [`Dir::read`].
    pub fn text_held(&self, path: &Path) -> io::Result<String> {
        self.read_held(path).map(text)
    }

    /// Returns the inode number of the file or directory at `path` below this directory; a symbolic
    /// link is not followed.
    ///
    /// # Errors
    /// The errors of `fstatat(2)`.
    pub fn inode(&self, path: &Path) -> io::Result<u64> {
        let stat = fstatat(
            self.fd.as_fd(),
            relative(path),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )?;
        Ok(stat.st_ino)
    }

    /// Returns the names of the directories in the directory at `path` below this one, in no order.
    ///
    /// The file system must count links as pseudo file systems and most disks do: 2 and one for each
    /// directory, or always 1.
    ///
    /// # Errors
    /// The errors of `openat(2)` and `getdents(2)`.
    pub fn directories(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.first_directories(path, usize::MAX)
    }

    /// Returns the names of at most `max` directories as [`Dir::directories`] does.
    ///
    /// # Errors
    /// The errors of [`Dir::directories`].
    pub fn first_directories(&self, path: &Path, max: usize) -> io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStrExt;
        // A directory with 2 links has no directory below and need not be read.
        let stat = fstatat(self.fd.as_fd(), relative(path), AtFlags::empty())?;
        if stat.st_nlink == 2 {
            return Ok(Vec::new());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let entries = nix::dir::Dir::openat(self.fd.as_fd(), relative(path), flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in entries {
            if names.len() >= max {
                break;
            }
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let is_directory = entry.file_type() == Some(nix::dir::Type::Directory);
            if is_directory && name != b"." && name != b".." {
                names.push(std::ffi::OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Returns the size in bytes and the permission bits that `stat(2)` states of the file at `path`
    /// below this directory.
    ///
    /// # Errors
    /// The errors of `fstatat(2)`.
    pub fn size_and_mode(&self, path: &Path) -> io::Result<(u64, u16)> {
        let stat = fstatat(self.fd.as_fd(), relative(path), AtFlags::empty())?;
        let size = u64::try_from(stat.st_size).map_err(io::Error::other)?;
        let mode = u16::try_from(stat.st_mode & 0o7777).map_err(io::Error::other)?;
        Ok((size, mode))
    }

    /// Returns true when a file or directory exists at `path` below this directory.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        fstatat(
            self.fd.as_fd(),
            relative(path),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )
        .is_ok()
    }

    /// Returns the target of the symbolic link at `path` below this directory.
    ///
    /// # Errors
    /// The errors of `readlinkat(2)`.
    pub fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(nix::fcntl::readlinkat(self.fd.as_fd(), relative(path))?.into())
    }

    /// Returns the present path of the directory in this mount namespace.
    ///
    /// # Errors
    /// The errors of `readlink(2)` on `/proc/self/fd`.
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
        Dir { fd, held: None }
    }
}

/// Converts the content of a file to text. Bytes that are no UTF-8 are replaced.
#[must_use]
pub fn text(content: Vec<u8>) -> String {
    String::from_utf8(content)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Reads text up to the end, or up to the first error. Bytes that are no UTF-8 are replaced.
pub fn text_from(mut from: impl Read) -> String {
    let mut content = Vec::new();
    let _ = from.read_to_end(&mut content);
    text(content)
}

/// Reads a file that a person named, which may be one without an end.
///
/// # Errors
/// The errors of `open(2)` and `read(2)`; `InvalidData` for a text of more than `max` bytes or one that is
/// no UTF-8.
pub fn read_named(path: &Path, max: u64) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(max + 1).read_to_string(&mut text)?;
    match u64::try_from(length).is_ok_and(|length| length <= max) {
        true => Ok(text),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the file has more than {max} bytes"),
        )),
    }
}

/// Reads a whole file as text. Bytes that are no UTF-8 are replaced, so that they cost at most the line
/// in which they stand.
///
/// # Errors
/// The errors of `open(2)` and `read(2)`.
pub fn read_text(path: &Path) -> io::Result<String> {
    std::fs::read(path).map(text)
}

// A path of `/proc/PID/cgroup` begins with `/`, which `openat` would resolve from the root.
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
        assert!(dir.first_directories(Path::new("/"), 0).unwrap().is_empty());
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
        assert_eq!(dir.read_prefix(Path::new("a"), 2).unwrap(), b"te");
        assert_eq!(dir.read_prefix(Path::new("a"), 9).unwrap(), b"text");
    }

    #[test]
    fn a_byte_that_is_no_utf_8_costs_at_most_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        std::fs::write(&path, b"one\n\xff\ntwo\n").unwrap();
        let read = read_text(&path).unwrap();
        assert_eq!(read.lines().next(), Some("one"));
        assert_eq!(read.lines().nth(2), Some("two"));
    }

    #[test]
    fn a_name_that_is_no_text_is_still_read() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("comm"), b"a\xffb").unwrap();
        let dir = Dir::open(place.path()).unwrap();
        assert_eq!(dir.text(Path::new("comm")).unwrap(), "a\u{fffd}b");
    }
}
