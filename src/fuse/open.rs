//! The open files: who opened each, and what its reader saw at its start.

use crate::container::Caller;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// So many files one container may hold open. The daemon pays for what they say.
const MOST: usize = 1024;

/// A container has as many files open as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a container holds {MOST} files open")]
pub(super) struct TooMany;

/// An open file.
#[derive(Debug, Clone)]
pub(super) struct Open {
    /// Who opened it: what it says depends on that, whoever reads it later.
    pub(super) caller: Caller,
    /// What its reader saw at the start of the file, so that the rest is of the same moment.
    pub(super) content: Option<Arc<[u8]>>,
    /// Whether it was opened for writing with `CAP_SYS_RESOURCE`.
    pub(super) is_privileged: bool,
}

/// Open files by handle.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    files: HashMap<u64, Open>,
    /// How many each container holds.
    held: HashMap<u64, usize>,
}

impl OpenFiles {
    /// A handle that nobody has.
    pub(super) fn add(&self, caller: Caller, is_privileged: bool) -> Result<u64, TooMany> {
        let mut table = self.0.lock();
        table.last += 1;
        let handle = table.last;
        let open = Open {
            caller,
            content: None,
            is_privileged,
        };
        table.put(handle, open)?;
        Ok(handle)
    }

    /// What is open under that handle.
    pub(super) fn get(&self, handle: u64) -> Option<Open> {
        self.0.lock().files.get(&handle).cloned()
    }

    /// Keeps what the reader saw; a handle of a daemon before this one becomes one of ours.
    pub(super) fn keep(&self, handle: u64, open: Open) -> Result<(), TooMany> {
        let mut table = self.0.lock();
        match table.files.get_mut(&handle) {
            Some(known) => known.content = open.content,
            None => table.put(handle, open)?,
        }
        Ok(())
    }

    /// Forgets what was open under that handle.
    pub(super) fn remove(&self, handle: u64) {
        let mut table = self.0.lock();
        let Some(open) = table.files.remove(&handle) else {
            return;
        };
        if let Some(held) = open.key().and_then(|key| table.held.get_mut(&key)) {
            *held = held.saturating_sub(1);
        }
        table.held.retain(|_, held| *held > 0);
    }
}

impl Open {
    /// The container that opened it.
    pub(super) fn key(&self) -> Option<u64> {
        match &self.caller {
            Caller::Host => None,
            Caller::Container(container) => Some(container.key),
        }
    }
}

impl Table {
    fn put(&mut self, handle: u64, open: Open) -> Result<(), TooMany> {
        if let Some(key) = open.key() {
            let held = self.held.entry(key).or_default();
            if *held >= MOST {
                return Err(TooMany);
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
    use crate::{cgroup::Place, container::Container};

    fn container(key: u64) -> Caller {
        Caller::Container(Arc::new(Container {
            key,
            place: Place::at("/box".as_ref()),
            init: None,
        }))
    }

    #[test]
    fn a_container_that_holds_too_many_files_keeps_nobody_else_from_opening() {
        let files = OpenFiles::default();
        let handles: Vec<u64> = (0..MOST)
            .map(|_| files.add(container(1), false).unwrap())
            .collect();
        assert_eq!(files.add(container(1), false), Err(TooMany));
        assert!(files.add(container(2), false).is_ok() && files.add(Caller::Host, false).is_ok());
        files.remove(handles[0]);
        assert!(files.add(container(1), false).is_ok());
    }

    #[test]
    fn a_handle_of_an_earlier_daemon_is_kept_and_given_to_nobody_else() {
        let files = OpenFiles::default();
        let open = Open {
            caller: Caller::Host,
            content: Some(Arc::from(&b"x"[..])),
            is_privileged: false,
        };
        files.keep(7, open).unwrap();
        assert_eq!(files.get(7).unwrap().content.as_deref(), Some(&b"x"[..]));
        assert_eq!(files.add(Caller::Host, false), Ok(8));
    }
}
