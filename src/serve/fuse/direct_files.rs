//! The open files of the direct connection: what opening, reading, writing and closing them does.

use super::{direct::Direct, error::ReplyError, open_files::OpenFile, triggers::READY};
use crate::{
    base::units::Tid,
    facts::container::Caller,
    serve::tree::{Entry, Owner},
};
use fuser::{Errno, FileHandle, INodeNo, OpenAccMode, OpenFlags, PollEvents, PollNotifier};
use std::sync::Arc;

impl Direct {
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
        let handle = self
            .0
            .caller(owner, tid)
            .and_then(|caller| {
                // Whoever opened the file is asked, not whoever writes to it later.
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
        // A trigger ends with the daemon that it was given to.
        let open = self.0.open_files.get(handle.0).ok_or(Errno::EBADF)?;
        self.0
            .triggers
            .set(handle.0, &open, data, |trigger| {
                self.0.answers.trigger(file, &open.caller, trigger)
            })
            .map_err(|error| error.errno())
    }

    /// What an open file is ready for; whoever waits for more is told.
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

    /// Forgets an open file and what hangs on it.
    pub(super) fn close_file(&self, handle: FileHandle) {
        self.0.triggers.remove(handle.0);
        self.0.open_files.remove(handle.0);
    }

    /// The content of an open file: made anew for whoever reads from its start, as procfs does
    /// (`top` keeps its files open), and kept for those who read on.
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
            None => match self.restore(handle, owner, tid) {
                Ok(OpenFile {
                    content: Some(content),
                    ..
                }) if offset > 0 => return Ok(content),
                resumed => resumed.map(|open| open.caller),
            },
        };
        caller
            .and_then(|caller| {
                let content = self.0.content_for(entry, &caller)?;
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

    /// A file that was opened before this daemon's time.
    fn restore(&self, handle: FileHandle, owner: Owner, tid: Tid) -> Result<OpenFile, ReplyError> {
        let Some(before) = self.0.open_files.before(handle.0) else {
            return Ok(OpenFile {
                caller: self.0.caller(owner, tid)?,
                content: None,
                is_privileged: false,
            });
        };
        let caller = match before.key {
            Some(key) => Caller::Container(self.0.answers.container(key)?),
            None => Caller::Host,
        };
        let open = OpenFile {
            caller,
            content: before.content,
            is_privileged: before.is_privileged,
        };
        self.0.open_files.keep(handle.0, open.clone())?;
        Ok(open)
    }
}

/// The file with that inode number, and whose it is.
fn file(inode: INodeNo) -> Result<(Entry, Owner), Errno> {
    match Entry::from_inode(inode.0) {
        Some(entry) if entry.is_directory() => Err(Errno::EISDIR),
        Some(entry @ (Entry::File(owner, _) | Entry::System(owner, _))) => Ok((entry, owner)),
        _ => Err(Errno::ENOENT),
    }
}
