//! The open files of the direct connection: open, read, write, poll and close.

use super::{direct::Direct, error::ReplyError, open_files::OpenFile, triggers::READY};
use crate::{
    base::units::{Micros, Tid},
    facts::container::Caller,
    serve::tree::{Entry, Owner},
};
use fuser::{Errno, FileHandle, INodeNo, OpenAccMode, OpenFlags, PollEvents, PollNotifier};
use std::sync::Arc;

// Maximum age of the content in which a descriptor reads that has not read the start of the file:
// the reader took the offset from a size, which the kernel kept for 1 ms and two jiffies.
const SIZE_MAX_AGE: Micros = Micros(25_000);

impl Direct {
    /// Opens a file for the thread `tid`, and returns the handle. Only pressure files open for
    /// writing.
    pub(super) fn open_file(
        &self,
        inode: INodeNo,
        tid: Tid,
        flags: OpenFlags,
    ) -> Result<FileHandle, Errno> {
        let (entry, owner) = file(inode)?;
        let is_written = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let is_pressure = entry.is_pressure();
        if is_written && !is_pressure {
            return Err(ReplyError::ReadOnly.errno());
        }
        // As for the kernel's own file. `no_mmap` has no backing file for such an open.
        if flags.0 & libc::O_DIRECT != 0 {
            return Err(Errno::EINVAL);
        }
        let handle = self
            .0
            .caller(owner, tid)
            .and_then(|caller| {
                // The right to set a trigger is that of the opener, not that of a later writer.
                let is_privileged = is_written && self.0.answers.is_privileged(tid);
                Ok(self.0.open_files.add(caller, is_privileged)?)
            })
            .map_err(|error| self.0.report(&entry.path(), &error))?;
        Ok(FileHandle(handle))
    }

    /// Sets the trigger that was written to a pressure file.
    pub(super) fn set_trigger(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        data: &[u8],
    ) -> Result<(), Errno> {
        let (Entry::File(_, file), _) = file(inode)? else {
            return Err(Errno::EACCES);
        };
        // A trigger ends with the daemon that set it, so that handles of a daemon before this one
        // take none.
        let open = self.0.open_files.get(handle.0).ok_or(Errno::EBADF)?;
        self.0
            .triggers
            .set(handle.0, &open, data, |trigger| {
                self.0.answers.trigger(file, &open.caller, trigger)
            })
            .map_err(|error| error.errno())
    }

    /// Returns the events that an open file is ready for. `waiter` gets notified of the next event.
    pub(super) fn poll_file(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        waiter: Option<PollNotifier>,
    ) -> PollEvents {
        match Entry::from_inode(inode.0) {
            Some(Entry::File(_, file)) if file.pressure().is_some() => {
                self.0.triggers.poll(handle.0, waiter)
            }
            _ => READY,
        }
    }

    /// Removes an open file and its trigger.
    pub(super) fn close_file(&self, handle: FileHandle) {
        self.0.triggers.remove(handle.0);
        self.0.open_files.remove(handle.0);
    }

    /// Returns the content of an open file. A read from the start gets a new content, as in procfs
    /// (`top` keeps its files open); a read further on gets the content of the read before.
    pub(super) fn read_file(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        tid: Tid,
        offset: u64,
    ) -> Result<Arc<[u8]>, Errno> {
        let (entry, owner) = file(inode)?;
        let caller = match self.0.open_files.get(handle.0) {
            Some(OpenFile {
                content: Some(content),
                ..
            }) if offset > 0 => return Ok(content),
            Some(open) => Ok(open.caller),
            None => match self.restore_file(handle, owner, tid) {
                Ok(OpenFile {
                    content: Some(content),
                    ..
                }) if offset > 0 => return Ok(content),
                restored => restored.map(|open| open.caller),
            },
        };
        caller
            .and_then(|caller| {
                let max_age = match offset {
                    0 => self.0.answers.max_age(),
                    _ => self.0.answers.max_age().max(SIZE_MAX_AGE),
                };
                let content = self.0.content_for(entry, &caller, max_age)?;
                let open = OpenFile {
                    caller,
                    content: Some(Arc::clone(&content)),
                    is_privileged: false,
                };
                self.0.open_files.keep(handle.0, open)?;
                Ok(content)
            })
            .map_err(|error| self.0.report(&entry.path(), &error))
    }

    /// Restores a file that was opened before this daemon began.
    fn restore_file(
        &self,
        handle: FileHandle,
        owner: Owner,
        tid: Tid,
    ) -> Result<OpenFile, ReplyError> {
        let Some(inherited) = self.0.open_files.inherited(handle.0) else {
            return Ok(OpenFile {
                caller: self.0.caller(owner, tid)?,
                content: None,
                is_privileged: false,
            });
        };
        let caller = match inherited.key {
            Some(key) => Caller::Container(self.0.answers.container(key)?),
            None => Caller::Host,
        };
        let open = OpenFile {
            caller,
            content: inherited.content,
            is_privileged: inherited.is_privileged,
        };
        self.0.open_files.keep(handle.0, open.clone())?;
        Ok(open)
    }
}

/// Returns the file with that inode number and its owner, or EISDIR or ENOENT.
fn file(inode: INodeNo) -> Result<(Entry, Owner), Errno> {
    match Entry::from_inode(inode.0) {
        Some(entry) if entry.is_directory() => Err(Errno::EISDIR),
        Some(entry @ (Entry::File(owner, _) | Entry::System(owner, _))) => Ok((entry, owner)),
        _ => Err(Errno::ENOENT),
    }
}
