//! The open files: who opened each, and what its reader saw at its start.

use crate::{
    base::{
        state::{Kind, Store},
        sys,
        units::Key,
    },
    facts::container::Caller,
};
use parking_lot::Mutex;
use std::{cell::RefCell, collections::HashMap, sync::Arc};

/// So many files one container may hold open. The daemon pays for what they say.
const MAX_OPEN_FILES_PER_CONTAINER: usize = 1024;

/// So many bytes of a buffer are kept for the next use.
const MAX_KEPT_RECORD_BYTES: usize = 16 << 10;

/// A container has as many files open as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a container holds {MAX_OPEN_FILES_PER_CONTAINER} files open")]
pub(super) struct TooManyOpenFiles;

/// An open file.
#[derive(Debug, Clone)]
pub(super) struct OpenFile {
    /// Who opened it: what it says depends on that, whoever reads it later.
    pub(super) caller: Caller,
    /// What its reader saw at the start of the file, so that the rest is of the same moment.
    pub(super) content: Option<Arc<[u8]>>,
    /// Whether it was opened for writing with `CAP_SYS_RESOURCE`.
    pub(super) is_privileged: bool,
}

/// An open file of a daemon before this one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InheritedFile {
    /// The container that opened it; `None` for the host.
    pub(super) key: Option<Key>,
    /// What its reader saw.
    pub(super) content: Option<Arc<[u8]>>,
    pub(super) is_privileged: bool,
}

/// OpenFile files by handle, each kept for a successor too.
#[derive(Debug)]
pub(super) struct OpenFiles {
    table: Mutex<OpenFileTable>,
    store: Arc<Store>,
}

#[derive(Debug)]
struct OpenFileTable {
    last: u64,
    files: HashMap<u64, OpenFile>,
    /// How many each container holds.
    held: HashMap<Key, usize>,
}

impl OpenFiles {
    /// None, but those that a daemon before this one kept on the store.
    pub(super) fn new(store: Arc<Store>) -> OpenFiles {
        OpenFiles {
            table: Mutex::new(OpenFileTable {
                // Nobody opens a file every nanosecond: no daemon before this one has given out
                // these handles.
                last: sys::since_boot().0.saturating_mul(1000),
                files: HashMap::new(),
                held: HashMap::new(),
            }),
            store,
        }
    }

    /// A handle that nobody has.
    pub(super) fn add(&self, caller: Caller, is_privileged: bool) -> Result<u64, TooManyOpenFiles> {
        let open = OpenFile {
            caller,
            content: None,
            is_privileged,
        };
        let mut table = self.table.lock();
        table.last += 1;
        let handle = table.last;
        table.put(handle, open.clone())?;
        drop(table);
        self.put(handle, &open);
        Ok(handle)
    }

    /// What a daemon before this one knew of a handle that this one does not.
    pub(super) fn before(&self, handle: u64) -> Option<InheritedFile> {
        InheritedFile::of(&self.store.get(Kind::OpenFile, handle)?)
    }

    /// What is open under that handle.
    pub(super) fn get(&self, handle: u64) -> Option<OpenFile> {
        self.table.lock().files.get(&handle).cloned()
    }

    /// Keeps what the reader saw; a handle of a daemon before this one becomes one of ours.
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
        drop(table);
        // The reader gets it after this: what it has read is kept, whenever we are killed.
        self.put(handle, &known);
        Ok(())
    }

    fn put(&self, handle: u64, open: &OpenFile) {
        thread_local! {
            static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        RECORD.with_borrow_mut(|record| {
            record.clear();
            open.record(record);
            self.store.put(Kind::OpenFile, handle, record);
            // One large file should not hold its memory for ever.
            record.shrink_to(MAX_KEPT_RECORD_BYTES);
        });
    }

    /// Forgets what was open under that handle.
    pub(super) fn remove(&self, handle: u64) {
        self.store.remove(Kind::OpenFile, handle);
        let mut table = self.table.lock();
        let Some(open) = table.files.remove(&handle) else {
            return;
        };
        if let Some(held) = open.key().and_then(|key| table.held.get_mut(&key)) {
            *held = held.saturating_sub(1);
        }
        table.held.retain(|_, held| *held > 0);
    }
}

impl OpenFile {
    /// The container that opened it.
    pub(super) fn key(&self) -> Option<Key> {
        match &self.caller {
            Caller::Host => None,
            Caller::Container(container) => Some(container.key),
        }
    }

    /// What a successor must know of it: a key, which is never 0, and flags; then the content.
    fn record(&self, record: &mut Vec<u8>) {
        let content = self.content.as_deref();
        let flags = u8::from(self.is_privileged) | u8::from(content.is_some()) << 1;
        record.extend(self.key().unwrap_or_default().0.to_le_bytes());
        record.push(flags);
        record.extend_from_slice(content.unwrap_or_default());
    }
}

impl InheritedFile {
    fn of(record: &[u8]) -> Option<InheritedFile> {
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
    fn put(&mut self, handle: u64, open: OpenFile) -> Result<(), TooManyOpenFiles> {
        if let Some(key) = open.key() {
            let held = self.held.entry(key).or_default();
            if *held >= MAX_OPEN_FILES_PER_CONTAINER {
                return Err(TooManyOpenFiles);
            }
            *held += 1;
        }
        self.last = self.last.max(handle);
        self.files.insert(handle, open);
        Ok(())
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
        assert_eq!(later.before(handle), Some(before));
        assert!(later.add(Caller::Host, false).unwrap() > handle);
        later.remove(handle);
        assert_eq!(later.before(handle), None);
    }
}
