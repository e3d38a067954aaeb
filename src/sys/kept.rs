//! Files that are read again and again, held open: the kernel makes their content anew for whoever
//! reads from the start, and need not be shown the way to them.

use nix::{errno::Errno, sys::uio::pread};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Files held open, by path.
#[derive(Debug)]
pub(super) struct Kept {
    files: Mutex<Files>,
    most: usize,
}

#[derive(Debug, Default)]
struct Files {
    held: HashMap<Arc<Path>, Arc<Held>>,
    /// In the order in which it is asked who may go.
    order: VecDeque<Arc<Path>>,
}

#[derive(Debug)]
struct Held {
    file: Mutex<OwnedFd>,
    /// Whether it was read since that was asked.
    is_read: AtomicBool,
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
        let held = Arc::clone(self.files.lock().held.get(path)?);
        let file = held.file.try_lock()?;
        let content = whole(|room, offset| pread(&*file, room, offset));
        if content.is_err() {
            self.files.lock().held.remove(path);
            return None;
        }
        held.is_read.store(true, Ordering::Relaxed);
        Some(content)
    }

    /// Holds a file; if there are too many, in place of one that was not read again lately: what
    /// many share stays, however many others pass by.
    pub(super) fn hold(&self, path: &Path, file: OwnedFd) {
        let held = Held {
            file: Mutex::new(file),
            is_read: AtomicBool::new(false),
        };
        let path: Arc<Path> = PathBuf::from(path).into();
        let mut files = self.files.lock();
        if files
            .held
            .insert(Arc::clone(&path), Arc::new(held))
            .is_none()
        {
            files.order.push_back(path);
        }
        while files.held.len() > self.most || files.order.len() > 2 * self.most {
            let Some(path) = files.order.pop_front() else {
                return;
            };
            match files.held.get(&path) {
                Some(held) if held.is_read.swap(false, Ordering::Relaxed) => {
                    files.order.push_back(path);
                }
                _ => drop(files.held.remove(&path)),
            }
        }
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
        assert_eq!(kept.files.lock().held.len(), 2);
        assert_eq!(kept.read(&place.path().join("c")).unwrap().unwrap(), b"c");
    }

    #[test]
    fn what_is_read_again_and_again_stays_while_others_pass_by() {
        let place = tempfile::tempdir().unwrap();
        let kept = Kept::new(4);
        let hold = |name: &str| {
            let path = place.path().join(name);
            fs::write(&path, name).unwrap();
            kept.hold(&path, File::open(&path).unwrap().into());
        };
        hold("shared");
        for other in 0..100 {
            assert!(kept.read(&place.path().join("shared")).is_some());
            hold(&other.to_string());
        }
        let files = kept.files.lock();
        assert!(files.held.len() <= 4 && files.order.len() <= 8);
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
