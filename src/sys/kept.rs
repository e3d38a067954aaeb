//! Files that are read again and again, held open: the kernel makes their content anew for whoever
//! reads from the start, and need not be shown the way to them.

use nix::{errno::Errno, sys::uio::pread};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files held open, by path.
#[derive(Debug)]
pub(super) struct Kept {
    files: Mutex<HashMap<PathBuf, Arc<Mutex<OwnedFd>>>>,
    most: usize,
}

impl Kept {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Kept {
        Kept {
            files: Mutex::default(),
            most,
        }
    }

    /// The content of the file at `path`; `None` if it is not held, somebody reads it at the
    /// moment, or it is gone.
    pub(super) fn read(&self, path: &Path) -> Option<io::Result<Vec<u8>>> {
        let file = Arc::clone(self.files.lock().get(path)?);
        let file = file.try_lock()?;
        let content = whole(|room, offset| pread(&*file, room, offset));
        if content.is_err() {
            self.files.lock().remove(path);
            return None;
        }
        Some(content)
    }

    /// Holds a file; in place of some other, if there are too many.
    pub(super) fn hold(&self, path: &Path, file: OwnedFd) {
        let mut files = self.files.lock();
        if files.len() >= self.most
            && let Some(other) = files.keys().next().cloned()
        {
            files.remove(&other);
        }
        files.insert(path.to_owned(), Arc::new(Mutex::new(file)));
    }
}

/// The whole content of a file, by a call that reads at an offset.
///
/// # Errors
/// Those of the call.
pub(super) fn whole(read: impl Fn(&mut [u8], i64) -> nix::Result<usize>) -> io::Result<Vec<u8>> {
    // The size and the position that `read_to_end` would ask for say nothing of such a file.
    let mut content = vec![0; 4096];
    let mut filled = 0;
    loop {
        let room = content.get_mut(filled..).unwrap_or_default();
        let offset = i64::try_from(filled).map_err(io::Error::other)?;
        match read(room, offset) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if filled == content.len() {
            content.resize(filled * 2, 0);
        }
    }
    content.truncate(filled);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn a_file_that_is_held_says_what_it_says_now() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        fs::write(&path, "1").unwrap();
        let kept = Kept::new(1);
        assert!(kept.read(&path).is_none());
        kept.hold(&path, File::open(&path).unwrap().into());
        assert_eq!(kept.read(&path).unwrap().unwrap(), b"1");
        fs::write(&path, "22").unwrap();
        assert_eq!(kept.read(&path).unwrap().unwrap(), b"22");
    }

    #[test]
    fn no_more_are_held_than_may_be() {
        let place = tempfile::tempdir().unwrap();
        let kept = Kept::new(2);
        for name in ["a", "b", "c"] {
            let path = place.path().join(name);
            fs::write(&path, name).unwrap();
            kept.hold(&path, File::open(&path).unwrap().into());
        }
        assert_eq!(kept.files.lock().len(), 2);
        assert_eq!(kept.read(&place.path().join("c")).unwrap().unwrap(), b"c");
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        fs::write(&path, vec![b'x'; 10_000]).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(
            whole(|room, offset| pread(&file, room, offset))
                .unwrap()
                .len(),
            10_000
        );
    }
}
