//! Files that are read again and again, held open: the kernel makes their content anew for whoever
//! reads from the start, and need not be shown the way to them.

use nix::{
    errno::Errno,
    sys::{
        resource::{Resource, getrlimit},
        uio::pread,
    },
};
use parking_lot::Mutex;
use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The size of a page on most machines; on the others it is larger.
const PAGE: usize = 4096;
/// Room for more than nearly every file that is read.
const MOST_ROOM: usize = 4 * PAGE;
/// So short is nearly every file of a cgroup.
const SHORT: usize = PAGE / 4;

/// The kernel keeps a page for each: 50 MiB, for which the files of 1000 containers that are read
/// once a second need not be looked up again.
const MOST: usize = 12 << 10;

/// What is not read for so long need not be held.
const LONG: Duration = Duration::from_secs(60);

/// How long the records of a file are, of which the kernel gives only whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// No longer than 3 KiB, unless it is one alone: every file of a cgroup.
    Short,
    /// Of any length: a disk with all its partitions is one.
    Any,
}

/// How many files may be held open, of however many directories.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// So many.
    #[must_use]
    pub fn of(most: usize) -> Budget {
        Budget(Arc::new(AtomicUsize::new(most)))
    }

    /// Half of the descriptors that this process may have (`RLIMIT_NOFILE`), and no more than
    /// 12288.
    #[must_use]
    pub fn of_this_process() -> Budget {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft / 2);
        Budget::of(usize::try_from(limit).map_or(MOST, |limit| limit.min(MOST)))
    }

    fn take(&self) -> Option<Place> {
        let one_less = |left: usize| left.checked_sub(1);
        let taken = (self.0).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        taken.ok().map(|_| Place(Arc::clone(&self.0)))
    }
}

/// A file's place in a budget, free again when dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Files held open, by path.
#[derive(Debug)]
pub(super) struct Kept {
    files: Mutex<Files>,
    budget: Budget,
    records: Records,
}

#[derive(Debug, Default)]
struct Files {
    held: HashMap<Arc<Path>, Arc<Held>>,
    /// In the order in which it is asked who may go, since when each waits for that.
    order: VecDeque<(Instant, Weak<Held>)>,
}

#[derive(Debug)]
struct Held {
    path: Arc<Path>,
    file: Mutex<OwnedFd>,
    /// Whether it was read since that was asked.
    is_read: AtomicBool,
    _place: Place,
}

impl Kept {
    /// None yet, and no more than the budget has room for, with such records.
    pub(super) fn new(budget: Budget, records: Records) -> Kept {
        Kept {
            files: Mutex::default(),
            budget,
            records,
        }
    }

    /// How long the records of the files are.
    pub(super) fn records(&self) -> Records {
        self.records
    }

    /// The content of the file at `path`; `None` if it is not held, somebody reads it at the
    /// moment, or it is gone.
    pub(super) fn read(&self, path: &Path) -> Option<io::Result<Vec<u8>>> {
        let held = Arc::clone(self.files.lock().held.get(path)?);
        let file = held.file.try_lock()?;
        let content = whole(|room, offset| pread(&*file, room, offset), self.records);
        if content.is_err() {
            self.files.lock().held.remove(path);
            return None;
        }
        held.is_read.store(true, Ordering::Relaxed);
        Some(content)
    }

    /// Holds a file. Another one goes if it was not read again for long; and if there is no room, one
    /// that was not read again since the others were asked: what many share stays, however many others
    /// pass by.
    pub(super) fn hold(&self, path: &Path, file: OwnedFd) {
        let now = Instant::now();
        let mut files = self.files.lock();
        // Whoever holds a file that is held already came while another one read that.
        if files.held.contains_key(path) {
            return;
        }
        let since = files.order.front().map(|(since, _)| *since);
        if since.is_some_and(|since| now.saturating_duration_since(since) > LONG) {
            files.ask_one(now);
        }
        let place = loop {
            if let Some(place) = self.budget.take() {
                break place;
            }
            // Every one may have been read, and is asked twice then.
            let asked = 2 * files.order.len();
            if !(0..asked).any(|_| files.ask_one(now)) {
                return;
            }
        };
        let path: Arc<Path> = path.into();
        let held = Arc::new(Held {
            path: Arc::clone(&path),
            file: Mutex::new(file),
            is_read: AtomicBool::new(false),
            _place: place,
        });
        files.order.push_back((now, Arc::downgrade(&held)));
        files.held.insert(path, held);
    }
}

impl Files {
    /// Lets the next one go, unless it was read since it was asked last; whether it has gone.
    fn ask_one(&mut self, now: Instant) -> bool {
        let Some((_, next)) = self.order.pop_front() else {
            return false;
        };
        // It may have been gone, and its place be another's.
        let Some(held) = next.upgrade() else {
            return false;
        };
        if held.is_read.swap(false, Ordering::Relaxed) {
            self.order.push_back((now, next));
            return false;
        }
        let is_it = |other: &Arc<Held>| Arc::ptr_eq(other, &held);
        if self.held.get(&held.path).is_some_and(is_it) {
            self.held.remove(&held.path);
        }
        true
    }
}

/// The whole content of a file, by a call that reads at an offset.
///
/// The kernel gives as many records of a file as there is room for in a page, and the rest when it
/// is asked again; a file of one record it gives at once (`fs/seq_file.c`, `seq_read_iter`). So where
/// records are short, what is shorter than [`SHORT`] is all: it is not asked again for the end.
///
/// # Errors
/// Those of the call.
pub(super) fn whole(
    read: impl Fn(&mut [u8], i64) -> nix::Result<usize>,
    records: Records,
) -> io::Result<Vec<u8>> {
    thread_local! {
        // The size and the position that `read_to_end` would ask for say nothing of such a file.
        static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; PAGE]);
    }
    ROOM.with_borrow_mut(|room| {
        let all = filled(room, read, records)
            .map(|filled| room.get(..filled).unwrap_or_default().to_vec());
        // One large file should not hold its memory for ever.
        room.truncate(MOST_ROOM);
        room.shrink_to(MOST_ROOM);
        all
    })
}

fn filled(
    content: &mut Vec<u8>,
    read: impl Fn(&mut [u8], i64) -> nix::Result<usize>,
    records: Records,
) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let room = content.get_mut(filled..).unwrap_or_default();
        let offset = i64::try_from(filled).map_err(io::Error::other)?;
        match read(room, offset) {
            Ok(0) => return Ok(filled),
            Ok(more) => filled += more,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if filled == content.len() {
            content.resize(filled * 2, 0);
        } else if records == Records::Short && filled < SHORT {
            return Ok(filled);
        }
    }
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
        let kept = Kept::new(Budget::of(1), Records::Any);
        assert!(kept.read(&path).is_none());
        kept.hold(&path, File::open(&path).unwrap().into());
        assert_eq!(kept.read(&path).unwrap().unwrap(), b"1");
        fs::write(&path, "22").unwrap();
        assert_eq!(kept.read(&path).unwrap().unwrap(), b"22");
    }

    #[test]
    fn no_more_are_held_than_may_be() {
        let place = tempfile::tempdir().unwrap();
        let kept = Kept::new(Budget::of(2), Records::Any);
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
        let kept = Kept::new(Budget::of(4), Records::Any);
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
    fn a_file_that_many_read_at_once_is_held_once() {
        let place = tempfile::tempdir().unwrap();
        let kept = Kept::new(Budget::of(10), Records::Any);
        let path = place.path().join("a");
        fs::write(&path, "a").unwrap();
        for _ in 0..5 {
            kept.hold(&path, File::open(&path).unwrap().into());
        }
        let files = kept.files.lock();
        assert_eq!((files.held.len(), files.order.len()), (1, 1));
    }

    #[test]
    fn what_is_not_read_for_long_goes_though_there_is_room() {
        let place = tempfile::tempdir().unwrap();
        let kept = Kept::new(Budget::of(1000), Records::Any);
        let hold = |name: &str| {
            let path = place.path().join(name);
            fs::write(&path, name).unwrap();
            kept.hold(&path, File::open(&path).unwrap().into());
        };
        let grow_old = || {
            for (since, _) in &mut kept.files.lock().order {
                *since -= 2 * LONG;
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
    fn directories_share_what_may_be_held_and_give_back_what_goes() {
        let place = tempfile::tempdir().unwrap();
        let budget = Budget::of(3);
        let [one, other] = [(); 2].map(|()| Kept::new(budget.clone(), Records::Any));
        for name in ["a", "b", "c", "d"] {
            let path = place.path().join(name);
            fs::write(&path, name).unwrap();
            one.hold(&path, File::open(&path).unwrap().into());
            other.hold(&path, File::open(&path).unwrap().into());
            let held = [&one, &other].map(|kept| kept.files.lock().held.len());
            assert!(held[0] + held[1] <= 3);
        }
        drop((one, other));
        assert_eq!(budget.0.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_short_file_is_not_asked_for_its_end_and_one_that_comes_in_parts_is() {
        let parts = |parts: &'static [usize]| {
            let asked = std::cell::Cell::new(0);
            let read = |room: &mut [u8], offset| {
                let part = parts.get(asked.get()).copied().unwrap_or(0);
                let before: usize = parts.iter().take(asked.get()).sum();
                assert_eq!(usize::try_from(offset).unwrap(), before);
                asked.set(asked.get() + 1);
                room[..part].fill(b'x');
                Ok(part)
            };
            let content = whole(read, Records::Short).unwrap();
            (content.len(), asked.get())
        };
        assert_eq!(parts(&[7]), (7, 1));
        assert_eq!(parts(&[]), (0, 1));
        assert_eq!(parts(&[4090, 6, 4000, 10]), (8106, 5));
        assert_eq!(parts(&[4096, 3]), (4099, 3));
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        fs::write(&path, vec![b'x'; 10_000]).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(
            whole(|room, offset| pread(&file, room, offset), Records::Any)
                .unwrap()
                .len(),
            10_000
        );
    }
}
