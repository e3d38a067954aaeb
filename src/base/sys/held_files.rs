//! Files that are read often stay open. A read at offset 0 makes the kernel produce new content, and
//! saves the path look-up.

use super::{
    budget::{Budget, Permit},
    read_all::{Records, read_all},
};
use nix::sys::uio::pread;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The time after which a file that nobody read may be closed.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// The maximum number of files that are closed at once, so that readers wait for no more.
const MAX_CLOSED: usize = 1024;

/// Files that are held open, by path.
#[derive(Debug)]
pub(super) struct HeldFiles {
    files: Mutex<Files>,
    budget: Budget,
    records: Records,
}

#[derive(Debug, Default)]
struct Files {
    held: HashMap<Arc<Path>, Arc<HeldFile>>,
    /// The eviction queue (second chance), the oldest first: the time at which a file joined the
    /// queue, and the file.
    order: VecDeque<(Instant, Weak<HeldFile>)>,
}

#[derive(Debug)]
struct HeldFile {
    path: Arc<Path>,
    file: Mutex<OwnedFd>,
    /// True when the file was read since it was last examined.
    is_read: AtomicBool,
    _permit: Permit,
}

impl HeldFiles {
    /// Makes an empty set of files with records of length `records`. The set holds at most as many
    /// files as `budget` allows.
    pub(super) fn new(budget: Budget, records: Records) -> HeldFiles {
        HeldFiles {
            files: Mutex::default(),
            budget,
            records,
        }
    }

    /// Returns the length of the records in the files.
    pub(super) fn records(&self) -> Records {
        self.records
    }

    /// Reads the file at `path`; `None` when the file is not held, another thread reads the file at
    /// the moment, or the file is gone.
    pub(super) fn read(&self, path: &Path) -> Option<io::Result<Vec<u8>>> {
        let held = Arc::clone(self.files.lock().held.get(path)?);
        let file = held.file.try_lock()?;
        let content = read_all(|room, offset| pread(&*file, room, offset), self.records);
        if content.is_err() {
            self.files.lock().held.remove(path);
            return None;
        }
        held.is_read.store(true, Ordering::Relaxed);
        Some(content)
    }

    /// Holds a file open. Closes the first file in the queue if no thread read that file for
    /// [`MAX_IDLE`]. When the budget is used up, closes the first file in the queue that was not read
    /// since it was last examined, so a file that is read often stays open.
    pub(super) fn hold(&self, path: &Path, file: OwnedFd) {
        let now = Instant::now();
        let mut files = self.files.lock();
        // Another thread may have opened the same file at the same time.
        if files.held.contains_key(path) {
            return;
        }
        let since = files.order.front().map(|(since, _)| *since);
        if since.is_some_and(|since| now.saturating_duration_since(since) > MAX_IDLE) {
            files.evict_one(now);
        }
        let permit = loop {
            if let Some(permit) = self.budget.take() {
                break permit;
            }
            // A file that was read is kept once, so the queue is examined twice.
            let examined = 2 * files.order.len();
            if !(0..examined).any(|_| files.evict_one(now)) {
                return;
            }
        };
        let path: Arc<Path> = path.into();
        let held = Arc::new(HeldFile {
            path: Arc::clone(&path),
            file: Mutex::new(file),
            is_read: AtomicBool::new(false),
            _permit: permit,
        });
        files.order.push_back((now, Arc::downgrade(&held)));
        files.held.insert(path, held);
    }

    /// Closes files that nobody read for [`MAX_IDLE`] or longer, at most [`MAX_CLOSED`] at a time: the
    /// kernel keeps a cgroup that was removed as long as one of its files is open.
    pub(super) fn close_idle(&self) {
        let now = Instant::now();
        let mut files = self.files.lock();
        for _ in 0..files.order.len().min(MAX_CLOSED) {
            let since = files.order.front().map(|(since, _)| *since);
            if since.is_none_or(|since| now.saturating_duration_since(since) <= MAX_IDLE) {
                break;
            }
            files.evict_one(now);
        }
    }
}

impl Files {
    /// Closes the first file in the queue, unless the file was read since it was last examined.
    /// Returns true when a file was closed.
    fn evict_one(&mut self, now: Instant) -> bool {
        let Some((_, next)) = self.order.pop_front() else {
            return false;
        };
        // The file may be closed already, and the path may belong to another one.
        let Some(held) = next.upgrade() else {
            return false;
        };
        if held.is_read.swap(false, Ordering::Relaxed) {
            self.order.push_back((now, next));
            return false;
        }
        let is_it = |other: &Arc<HeldFile>| Arc::ptr_eq(other, &held);
        if self.held.get(&held.path).is_some_and(is_it) {
            self.held.remove(&held.path);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// Holds a file open that contains its own name.
    fn hold(kept: &HeldFiles, place: &tempfile::TempDir, name: &str) {
        let path = place.path().join(name);
        fs::write(&path, name).unwrap();
        kept.hold(&path, File::open(&path).unwrap().into());
    }

    #[test]
    fn a_file_that_is_held_says_what_it_says_now() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        fs::write(&path, "1").unwrap();
        let kept = HeldFiles::new(Budget::new(1), Records::Any);
        assert!(kept.read(&path).is_none());
        kept.hold(&path, File::open(&path).unwrap().into());
        assert_eq!(kept.read(&path).unwrap().unwrap(), b"1");
        fs::write(&path, "22").unwrap();
        assert_eq!(kept.read(&path).unwrap().unwrap(), b"22");
    }

    #[test]
    fn no_more_are_held_than_may_be() {
        let place = tempfile::tempdir().unwrap();
        let kept = HeldFiles::new(Budget::new(2), Records::Any);
        for name in ["a", "b", "c"] {
            hold(&kept, &place, name);
        }
        assert_eq!(kept.files.lock().held.len(), 2);
        assert_eq!(kept.read(&place.path().join("c")).unwrap().unwrap(), b"c");
    }

    #[test]
    fn what_is_read_again_and_again_stays_while_others_pass_by() {
        let place = tempfile::tempdir().unwrap();
        let kept = HeldFiles::new(Budget::new(4), Records::Any);
        let hold = |name: &str| hold(&kept, &place, name);
        hold("shared");
        for other in 0..100 {
            assert!(kept.read(&place.path().join("shared")).is_some());
            hold(&other.to_string());
        }
        let files = kept.files.lock();
        assert!(files.held.len() <= 4 && files.order.len() <= 8);
    }

    #[test]
    fn a_file_that_many_read_at_once_is_held_once() {
        let place = tempfile::tempdir().unwrap();
        let kept = HeldFiles::new(Budget::new(10), Records::Any);
        for _ in 0..5 {
            hold(&kept, &place, "a");
        }
        let files = kept.files.lock();
        assert_eq!((files.held.len(), files.order.len()), (1, 1));
    }

    #[test]
    fn what_is_not_read_for_long_goes_though_there_is_room() {
        let place = tempfile::tempdir().unwrap();
        let kept = HeldFiles::new(Budget::new(1000), Records::Any);
        let hold = |name: &str| hold(&kept, &place, name);
        let grow_old = || {
            for (since, _) in &mut kept.files.lock().order {
                *since -= 2 * MAX_IDLE;
            }
        };
        ["live", "dead"].into_iter().for_each(hold);
        assert!(kept.read(&place.path().join("live")).is_some());
        hold("young");
        assert_eq!(kept.files.lock().held.len(), 3);
        grow_old();
        ["a", "b"].into_iter().for_each(hold);
        assert!(kept.read(&place.path().join("live")).is_some());
        assert!(kept.read(&place.path().join("dead")).is_none());
        assert!(kept.read(&place.path().join("young")).is_some());
    }

    #[test]
    fn what_nobody_reads_any_more_is_closed_though_nobody_reads_at_all() {
        let place = tempfile::tempdir().unwrap();
        let kept = HeldFiles::new(Budget::new(1000), Records::Any);
        ["live", "dead"]
            .into_iter()
            .for_each(|name| hold(&kept, &place, name));
        kept.close_idle();
        assert_eq!(kept.files.lock().held.len(), 2);
        assert!(kept.read(&place.path().join("live")).is_some());
        for (since, _) in &mut kept.files.lock().order {
            *since -= 2 * MAX_IDLE;
        }
        kept.close_idle();
        assert_eq!(kept.files.lock().held.len(), 1);
        assert!(kept.read(&place.path().join("live")).is_some());
    }

    #[test]
    fn directories_share_what_may_be_held_and_give_back_what_goes() {
        let place = tempfile::tempdir().unwrap();
        let budget = Budget::new(3);
        let [one, other] = [(); 2].map(|()| HeldFiles::new(budget.clone(), Records::Any));
        for name in ["a", "b", "c", "d"] {
            hold(&one, &place, name);
            hold(&other, &place, name);
            let held = [&one, &other].map(|kept| kept.files.lock().held.len());
            assert!(held[0] + held[1] <= 3);
        }
        drop((one, other));
        assert_eq!(budget.left(), 3);
    }
}
