//! The open files of the direct connection: the caller that opened each, and the content that its
//! reader got.

use crate::{
    base::{
        state::{Kind, Store},
        sys,
        units::Key,
    },
    facts::container::Caller,
};
use parking_lot::Mutex;
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

/// Maximum number of files that one container holds open, each some hundred bytes of the daemon's
/// memory. A closed file counts until the kernel sends its RELEASE, some time later.
const MAX_OPEN_FILES_PER_CONTAINER: usize = 16 << 10;

/// Maximum number of files of one container whose contents are kept, which are memory of the daemon
/// too. Of more files, those that were opened first lose their contents: a reader in the midst of
/// one goes on with the file's present content.
const MAX_CONTENTS_PER_CONTAINER: usize = 1024;

/// Maximum capacity that a thread's record buffer keeps for the next use.
const MAX_KEPT_RECORD_BYTES: usize = 16 << 10;

/// The error of a container that opens more files than the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a container holds {MAX_OPEN_FILES_PER_CONTAINER} files open")]
pub(super) struct TooManyOpenFiles;

/// An open file.
#[derive(Debug, Clone)]
pub(super) struct OpenFile {
    /// The caller that opened the file. The content is this caller's, whichever process reads.
    pub(super) caller: Caller,
    /// The content that the reader got at the start of the file. Reads further on get the rest of
    /// it, so that all parts are of one moment.
    pub(super) content: Option<Arc<[u8]>>,
    /// Set if the file was opened for writing with `CAP_SYS_RESOURCE`.
    pub(super) is_privileged: bool,
}

/// An open file of a daemon before this one, as the store has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InheritedFile {
    /// The container that opened the file; `None` for the host.
    pub(super) key: Option<Key>,
    /// The content that its reader got.
    pub(super) content: Option<Arc<[u8]>>,
    /// Set if the file was opened for writing with `CAP_SYS_RESOURCE`.
    pub(super) is_privileged: bool,
}

/// The open files by handle, each recorded in the store for a successor too.
#[derive(Debug)]
pub(super) struct OpenFiles {
    table: Mutex<OpenFileTable>,
    store: Arc<Store>,
}

#[derive(Debug)]
struct OpenFileTable {
    /// The largest handle in use so far.
    last: u64,
    files: HashMap<u64, OpenFile>,
    /// Open files of each container that has any.
    held: HashMap<Key, Held>,
}

/// Open files of one container.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// Handles of the files whose contents are kept.
    contents: BTreeSet<u64>,
}

impl OpenFiles {
    /// Starts without open files; [`inherited`](OpenFiles::inherited) finds those in the store.
    pub(super) fn new(store: Arc<Store>) -> OpenFiles {
        OpenFiles {
            table: Mutex::new(OpenFileTable {
                // Nanoseconds since boot. No daemon opens a file every nanosecond, so that no
                // daemon before this one has given out a larger handle.
                last: sys::since_boot().0.saturating_mul(1000),
                files: HashMap::new(),
                held: HashMap::new(),
            }),
            store,
        }
    }

    /// Adds an open file under a new handle.
    pub(super) fn add(&self, caller: Caller, is_privileged: bool) -> Result<u64, TooManyOpenFiles> {
        let open = OpenFile {
            caller,
            content: None,
            is_privileged,
        };
        let mut table = self.table.lock();
        let handle = table.next();
        table.put(handle, open.clone())?;
        drop(table);
        self.put(handle, &open);
        Ok(handle)
    }

    /// Reads the open file of a daemon before this one from the store.
    pub(super) fn inherited(&self, handle: u64) -> Option<InheritedFile> {
        InheritedFile::parse(&self.store.get(Kind::OpenFile, handle)?)
    }

    /// Returns the open file with that handle.
    pub(super) fn get(&self, handle: u64) -> Option<OpenFile> {
        self.table.lock().files.get(&handle).cloned()
    }

    /// Keeps the content that the reader gets. Adds the handle of a daemon before this one.
    pub(super) fn keep(&self, handle: u64, open: OpenFile) -> Result<(), TooManyOpenFiles> {
        let mut table = self.table.lock();
        let known = match table.files.get_mut(&handle) {
            Some(known) => {
                known.content = open.content;
                known.clone()
            }
            None => {
                table.put(handle, open.clone())?;
                open
            }
        };
        let dropped = table.note_content(handle, &known);
        drop(table);
        if let Some((handle, without)) = dropped {
            self.put(handle, &without);
        }
        // The reader gets the content after this call: a successor has each content that was read,
        // whenever this daemon is killed.
        self.put(handle, &known);
        Ok(())
    }

    /// Writes the record of an open file to the store.
    fn put(&self, handle: u64, open: &OpenFile) {
        thread_local! {
            static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        RECORD.with_borrow_mut(|record| {
            record.clear();
            open.record(record);
            self.store.put(Kind::OpenFile, handle, record);
            // One large file must not bind its memory for ever.
            record.shrink_to(MAX_KEPT_RECORD_BYTES);
        });
    }

    /// Removes the open file with that handle, here and in the store.
    pub(super) fn remove(&self, handle: u64) {
        self.store.remove(Kind::OpenFile, handle);
        let mut table = self.table.lock();
        let Some(open) = table.files.remove(&handle) else {
            return;
        };
        let Some(Entry::Occupied(mut held)) = open.key().map(|key| table.held.entry(key)) else {
            return;
        };
        let files = held.get_mut();
        files.count = files.count.saturating_sub(1);
        files.contents.remove(&handle);
        if files.count == 0 {
            held.remove();
        }
    }
}

impl OpenFile {
    /// Returns the container that opened the file; `None` for the host.
    pub(super) fn key(&self) -> Option<Key> {
        match &self.caller {
            Caller::Host => None,
            Caller::Container(container) => Some(container.key),
        }
    }

    /// Writes the record for a successor: the key (8 bytes little endian, 0 for the host), the
    /// flags (1 byte: 1 privileged, 2 has content), then the content.
    fn record(&self, record: &mut Vec<u8>) {
        let content = self.content.as_deref();
        let flags = u8::from(self.is_privileged) | u8::from(content.is_some()) << 1;
        record.extend(self.key().unwrap_or_default().0.to_le_bytes());
        record.push(flags);
        record.extend_from_slice(content.unwrap_or_default());
    }
}

impl InheritedFile {
    /// Parses a record that [`OpenFile::record`] wrote.
    fn parse(record: &[u8]) -> Option<InheritedFile> {
        let (key, rest) = record.split_first_chunk()?;
        let (flags, content) = rest.split_first()?;
        let key = u64::from_le_bytes(*key);
        Some(InheritedFile {
            key: (key != 0).then_some(Key(key)),
            content: (flags & 2 != 0).then(|| content.into()),
            is_privileged: flags & 1 != 0,
        })
    }
}

impl OpenFileTable {
    /// Returns a handle that no open file has.
    fn next(&mut self) -> u64 {
        loop {
            // A corrupt state may hold the largest number.
            self.last = self.last.wrapping_add(1);
            if !self.files.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    /// Adds an open file, and counts it for its container.
    fn put(&mut self, handle: u64, open: OpenFile) -> Result<(), TooManyOpenFiles> {
        if let Some(key) = open.key() {
            let held = self.held.entry(key).or_default();
            if held.count >= MAX_OPEN_FILES_PER_CONTAINER {
                return Err(TooManyOpenFiles);
            }
            held.count += 1;
        }
        self.last = self.last.max(handle);
        self.files.insert(handle, open);
        Ok(())
    }

    /// Notes that the content of an open file is kept. Drops the content of another file if there
    /// are too many, and returns that file.
    fn note_content(&mut self, handle: u64, open: &OpenFile) -> Option<(u64, OpenFile)> {
        open.content.as_ref()?;
        let held = self.held.get_mut(&open.key()?)?;
        held.contents.insert(handle);
        if held.contents.len() <= MAX_CONTENTS_PER_CONTAINER {
            return None;
        }
        let first = held.contents.pop_first()?;
        let file = self.files.get_mut(&first)?;
        file.content = None;
        Some((first, file.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{cgroup::Paths, container::Container};

    fn container(key: Key) -> Caller {
        Caller::Container(Arc::new(Container {
            key,
            paths: Paths::at("/box".as_ref()),
            init: None,
        }))
    }

    #[test]
    fn every_open_file_that_a_release_has_left_is_understood() {
        for store in Store::of_releases() {
            let files = store.keys(Kind::OpenFile).into_iter();
            let files = files.map(|handle| store.get(Kind::OpenFile, handle).unwrap());
            let files: Vec<_> = files
                .map(|record| InheritedFile::parse(&record).unwrap())
                .collect();
            let whole = files
                .iter()
                .filter(|it| it.key.is_some() && it.content.is_some());
            assert!(whole.count() > 0, "{files:?}");
        }
    }

    #[test]
    fn a_container_that_holds_too_many_files_keeps_nobody_else_from_opening() {
        let files = OpenFiles::new(Arc::new(Store::new().unwrap()));
        let handles: Vec<u64> = (0..MAX_OPEN_FILES_PER_CONTAINER)
            .map(|_| files.add(container(Key(1)), false).unwrap())
            .collect();
        assert_eq!(files.add(container(Key(1)), false), Err(TooManyOpenFiles));
        assert!(
            files.add(container(Key(2)), false).is_ok() && files.add(Caller::Host, false).is_ok()
        );
        files.remove(handles[0]);
        assert!(files.add(container(Key(1)), false).is_ok());
    }

    #[test]
    fn a_container_that_reads_too_many_files_keeps_the_contents_of_the_last_ones() {
        let files = OpenFiles::new(Arc::new(Store::new().unwrap()));
        let handles: Vec<u64> = (0..=MAX_CONTENTS_PER_CONTAINER)
            .map(|_| files.add(container(Key(1)), false).unwrap())
            .collect();
        let read = |handle: u64| {
            let open = OpenFile {
                content: Some(Arc::from(&b"x"[..])),
                ..files.get(handle).unwrap()
            };
            files.keep(handle, open).unwrap();
        };
        handles.iter().copied().for_each(read);
        let has_content = |handle: &&u64| files.get(**handle).unwrap().content.is_some();
        assert_eq!(
            handles.iter().filter(has_content).count(),
            MAX_CONTENTS_PER_CONTAINER
        );
        assert_eq!(files.inherited(handles[0]).unwrap().content, None);
        // A file that is closed makes room.
        files.remove(handles[1]);
        read(handles[0]);
        assert_eq!(
            handles[2..].iter().filter(has_content).count(),
            handles.len() - 2
        );
        handles.iter().for_each(|handle| files.remove(*handle));
        assert!(files.table.lock().held.is_empty());
    }

    #[test]
    fn a_handle_that_no_daemon_gave_out_keeps_nobody_from_opening() {
        let files = OpenFiles::new(Arc::new(Store::new().unwrap()));
        let open = OpenFile {
            caller: Caller::Host,
            content: None,
            is_privileged: false,
        };
        for foreign in [u64::MAX, 0] {
            files.keep(foreign, open.clone()).unwrap();
        }
        let handle = files.add(Caller::Host, false).unwrap();
        assert!(handle != 0 && handle != u64::MAX, "{handle}");
    }

    #[test]
    fn a_handle_of_an_earlier_daemon_is_known_and_given_to_nobody_else() {
        let store = Arc::new(Store::new().unwrap());
        let earlier = OpenFiles::new(Arc::clone(&store));
        let handle = earlier.add(container(Key(3)), true).unwrap();
        let open = OpenFile {
            content: Some(Arc::from(&b"x"[..])),
            ..earlier.get(handle).unwrap()
        };
        earlier.keep(handle, open).unwrap();
        let later = OpenFiles::new(store);
        let before = InheritedFile {
            key: Some(Key(3)),
            content: Some(Arc::from(&b"x"[..])),
            is_privileged: true,
        };
        assert_eq!(later.inherited(handle), Some(before));
        assert!(later.add(Caller::Host, false).unwrap() > handle);
        later.remove(handle);
        assert_eq!(later.inherited(handle), None);
    }
}
