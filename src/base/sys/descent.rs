//! A walk over a directory and the directories below it, by descriptor: no path is looked up twice,
//! and none is too long.

use super::Dir;
use nix::{
    dir::{OwningIter, Type},
    fcntl::OFlag,
    sys::stat::{Mode, fstat},
};
use std::{io, os::fd::AsFd, path::Path};

/// The maximum number of levels below the first directory that a walk enters. A walk holds two
/// descriptors for each level.
const MAX_DEPTH: usize = 64;

/// The directories from a first one down, each once, a directory before those below it.
///
/// A directory at the greatest depth is not left out, but those below it are.
#[derive(Debug)]
pub struct Descent {
    first: Option<Dir>,
    levels: Vec<ListedDirectory>,
    is_cut: bool,
}

/// A directory whose directories are being visited.
#[derive(Debug)]
struct ListedDirectory {
    dir: Dir,
    entries: OwningIter,
}

impl Descent {
    /// Begins a walk at a directory. The file system must count links as
    /// [`Dir::directories`] expects.
    #[must_use]
    pub fn of(first: Dir) -> Descent {
        Descent {
            first: Some(first),
            levels: Vec::new(),
            is_cut: false,
        }
    }

    /// Returns whether directories were left out because they lie too deep.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Lists the directory next, unless it has none below or lies too deep.
    fn enter(&mut self, dir: &Dir) -> io::Result<()> {
        // A directory with 2 links has no directory below.
        if fstat(dir.as_fd())?.st_nlink == 2 {
            return Ok(());
        }
        if self.levels.len() >= MAX_DEPTH {
            self.is_cut = true;
            return Ok(());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let entries = nix::dir::Dir::openat(dir.as_fd(), ".", flags, Mode::empty())?.into_iter();
        let dir = dir.as_fd().try_clone_to_owned()?.into();
        self.levels.push(ListedDirectory { dir, entries });
        Ok(())
    }
}

/// Opens the next directory; an error for one that cannot be opened or listed, such as one that was
/// removed. The walk goes on after an error.
impl Iterator for Descent {
    type Item = io::Result<Dir>;

    fn next(&mut self) -> Option<io::Result<Dir>> {
        let next = match self.first.take() {
            Some(first) => Ok(first),
            None => loop {
                let level = self.levels.last_mut()?;
                match level.next_directory() {
                    Some(next) => break next,
                    None => self.levels.pop(),
                };
            },
        };
        Some(next.and_then(|dir| self.enter(&dir).map(|()| dir)))
    }
}

impl ListedDirectory {
    fn next_directory(&mut self) -> Option<io::Result<Dir>> {
        use std::os::unix::ffi::OsStrExt;
        for entry in &mut self.entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let name = entry.file_name().to_bytes();
            if entry.file_type() == Some(Type::Directory) && name != b"." && name != b".." {
                return Some(self.dir.dir(Path::new(std::ffi::OsStr::from_bytes(name))));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn descent(place: &tempfile::TempDir) -> Descent {
        Descent::of(Dir::open(place.path()).unwrap())
    }

    #[test]
    fn each_directory_is_visited_once() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a/b/c", "a/d", "e"] {
            fs::create_dir_all(place.path().join(name)).unwrap();
        }
        fs::write(place.path().join("a/file"), "").unwrap();
        let mut found: Vec<_> = descent(&place)
            .map(|dir| dir.unwrap().path().unwrap())
            .collect();
        found.sort();
        let expected = ["", "a", "a/b", "a/b/c", "a/d", "e"].map(|name| place.path().join(name));
        let expected = expected.map(|path| path.components().collect::<std::path::PathBuf>());
        assert_eq!(found, expected);
    }

    #[test]
    fn what_lies_too_deep_is_left_out_and_told() {
        let place = tempfile::tempdir().unwrap();
        let mut dir = place.path().to_owned();
        for _ in 0..MAX_DEPTH {
            dir.push("d");
        }
        fs::create_dir_all(&dir).unwrap();
        let mut walk = descent(&place);
        assert_eq!(walk.by_ref().count(), MAX_DEPTH + 1);
        assert!(!walk.is_cut());
        fs::create_dir_all(dir.join("d/d")).unwrap();
        let mut walk = descent(&place);
        assert_eq!(walk.by_ref().count(), MAX_DEPTH + 1);
        assert!(walk.is_cut());
    }

    #[test]
    fn a_directory_that_is_removed_meanwhile_ends_no_walk() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let mut walk = descent(&place);
        assert!(walk.next().unwrap().is_ok());
        fs::remove_dir(place.path().join("b")).unwrap();
        let rest: Vec<_> = walk.collect();
        assert_eq!(rest.iter().filter(|dir| dir.is_ok()).count(), 2);
    }
}
