//! What a request asks for: the entry, the caller, the content; and which errno an error is.

use super::{
    open::{Open, OpenFiles, TooMany},
    tree::{Entry, Owner},
    trigger::{TriggerError, Triggers},
};
use crate::{
    answer::{AnswerError, Answers},
    container::{Caller, CallerError},
    files::{Attribute, FILES, Subject},
    metrics,
    shelf::Shelf,
    sys::ReadError,
};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, INodeNo, OpenAccMode, OpenFlags, PollEvents,
    PollNotifier, Request,
};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    error::Error,
    ffi::OsStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

// Names and attributes never change; what may end is a container.
const FOREVER: Duration = Duration::from_secs(3600);
pub(super) const BRIEF: Duration = Duration::from_secs(1);
// Whether there is such a CPU differs from one caller to the next.
const NEVER: Duration = Duration::ZERO;
// Offsets in a directory: its own entries come first, then the containers by key.
const CONTAINERS_FROM: u64 = 255;
// A container may cause as many different errors as it likes; the log has an end.
const MOST_CAUSES: usize = 256;

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("cannot find the container")]
    Container(#[from] ReadError),
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("a process of the host has no container")]
    IsHost,
    #[error("there is no such file")]
    Absent,
    #[error("it cannot be written")]
    ReadOnly,
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

impl RequestError {
    pub(super) fn errno(&self) -> Errno {
        match self {
            RequestError::Container(error) if error.is_gone() => Errno::ENOENT,
            RequestError::IsHost | RequestError::Absent => Errno::ENOENT,
            RequestError::TooMany(_) => Errno::ENFILE,
            RequestError::ReadOnly => Errno::EROFS,
            RequestError::Trigger(error) => error.errno(),
            RequestError::Answer(AnswerError::Unseen { .. }) => Errno::ENOENT,
            _ => Errno::EIO,
        }
    }
}

/// A file system whose files are the answers.
#[derive(Debug)]
pub struct Server {
    answers: Arc<Answers>,
    /// A size for each file that no content exceeds.
    sizes: Vec<u64>,
    /// The same for attributes.
    attribute_size: u64,
    open: OpenFiles,
    triggers: Triggers,
    shelf: Arc<Shelf>,
    /// Which connection of the daemon it serves.
    place: u8,
    /// The causes of errors that were logged.
    causes: Mutex<HashSet<String>>,
}

impl Server {
    /// Serves those answers on the daemon's connection at `place`, and keeps on the shelf what a
    /// successor must know.
    #[must_use]
    pub fn new(answers: Arc<Answers>, shelf: Arc<Shelf>, place: u8) -> Server {
        Server {
            sizes: FILES.iter().map(|file| answers.bound(*file)).collect(),
            attribute_size: answers.attribute_bound(),
            answers,
            open: OpenFiles::new(Arc::clone(&shelf), place),
            triggers: Triggers::default(),
            shelf,
            place,
            causes: Mutex::default(),
        }
    }

    /// Remembers how far the requests have come.
    pub(super) fn saw(&self, request: &Request) {
        self.shelf.mark(self.place, request.unique().0);
    }

    pub(super) fn attributes(&self, entry: Entry) -> FileAttr {
        let now = SystemTime::now();
        let (kind, perm, size) = match entry {
            entry if entry.is_directory() => (FileType::Directory, 0o555, 0),
            Entry::Directory(..) | Entry::Containers | Entry::Own | Entry::Link(..) => {
                (FileType::Symlink, 0o777, 0)
            }
            Entry::System(..) => (FileType::RegularFile, 0o444, self.attribute_size),
            Entry::File(_, file) => {
                let at = FILES.iter().position(|row| *row == file);
                let size = at.and_then(|at| self.sizes.get(at)).copied();
                (FileType::RegularFile, file.mode(), size.unwrap_or(0))
            }
        };
        FileAttr {
            ino: INodeNo(entry.inode()),
            size,
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            crtime: now,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    pub(super) fn lookup(
        &self,
        parent: INodeNo,
        name: &OsStr,
        tid: u32,
    ) -> Result<(Duration, Entry), RequestError> {
        let parent = Entry::of_inode(parent.0).ok_or(RequestError::Absent)?;
        let name = name.to_str().ok_or(RequestError::Absent)?;
        let entry = parent.child(name).ok_or(RequestError::Absent)?;
        let ttl = match entry {
            Entry::Directory(Owner::Container(key), _) if parent == Entry::Containers => {
                self.answers.container(key)?;
                BRIEF
            }
            Entry::System(owner, attribute) => {
                let is_shown = match attribute.subject() {
                    Subject::Machine => true,
                    subject => self.answers.shown(&self.caller(owner, tid)?)?.has(subject),
                };
                if !is_shown || !self.answers.has(&attribute.path()) {
                    return Err(RequestError::Absent);
                }
                match attribute.subject() {
                    subject if attribute != Attribute::directory(subject) => BRIEF,
                    Subject::Machine => BRIEF,
                    Subject::Cpu(_) | Subject::Node(_) => NEVER,
                }
            }
            Entry::Link(owner, _) => {
                let shown = self.answers.shown(&self.caller(owner, tid)?)?;
                let mut members = parent.members(&shown).into_iter();
                if !members.any(|(_, member, _)| member == name) {
                    return Err(RequestError::Absent);
                }
                NEVER
            }
            Entry::File(owner, file) if file.pressure().is_some() => {
                if !self.answers.has_pressure(file, &self.caller(owner, tid)?) {
                    return Err(RequestError::Absent);
                }
                NEVER
            }
            Entry::File(_, file) if !self.answers.has(file.path()) => {
                return Err(RequestError::Absent);
            }
            Entry::Directory(_, directory) if !self.answers.has(directory.path()) => {
                return Err(RequestError::Absent);
            }
            Entry::Directory(Owner::Container(_), _) | Entry::File(Owner::Container(_), _) => BRIEF,
            _ => FOREVER,
        };
        Ok((ttl, entry))
    }

    fn caller(&self, owner: Owner, tid: u32) -> Result<Caller, RequestError> {
        Ok(match owner {
            Owner::Container(key) => Caller::Container(self.answers.container(key)?),
            Owner::Caller => self.answers.caller(tid)?,
        })
    }

    fn content(&self, entry: Entry, caller: &Caller) -> Result<Arc<[u8]>, RequestError> {
        let content = match (entry, caller) {
            (Entry::File(_, file), Caller::Host) => self.answers.host(file)?,
            (Entry::File(_, file), Caller::Container(container)) => {
                self.answers.answer(file, container)?
            }
            (Entry::System(_, attribute), Caller::Host) => {
                self.answers.host_attribute(attribute)?
            }
            (Entry::System(_, attribute), Caller::Container(container)) => {
                self.answers.attribute(attribute, container)?
            }
            _ => return Err(RequestError::Absent),
        };
        Ok(content.into())
    }

    pub(super) fn own(&self, tid: u32) -> Result<u64, RequestError> {
        match self.answers.caller(tid)? {
            Caller::Host => Err(RequestError::IsHost),
            Caller::Container(container) => Ok(container.key),
        }
    }

    pub(super) fn open(
        &self,
        inode: INodeNo,
        tid: u32,
        flags: OpenFlags,
    ) -> Result<FileHandle, Errno> {
        let (entry, owner) = file(inode)?;
        let is_written = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let is_pressure = entry.is_pressure();
        if is_written && !is_pressure {
            return Err(RequestError::ReadOnly.errno());
        }
        let handle = self
            .caller(owner, tid)
            .and_then(|caller| {
                // Whoever opened the file is asked, not whoever writes to it later.
                let is_privileged = is_written && self.answers.is_privileged(tid);
                Ok(self.open.add(caller, is_privileged)?)
            })
            .map_err(|error| self.refused(entry, &error))?;
        Ok(FileHandle(handle))
    }

    /// Sets the trigger that was written to a pressure file.
    pub(super) fn write(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        data: &[u8],
    ) -> Result<(), Errno> {
        let (Entry::File(_, file), _) = file(inode)? else {
            return Err(Errno::EACCES);
        };
        // A trigger ends with the daemon that it was given to.
        let open = self.open.get(handle.0).ok_or(Errno::EBADF)?;
        self.triggers
            .set(handle.0, &open, data, |trigger| {
                self.answers.trigger(file, &open.caller, trigger)
            })
            .map_err(|error| error.errno())
    }

    /// What an open file is ready for; whoever waits for more is told.
    pub(super) fn poll(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        waiter: Option<PollNotifier>,
    ) -> PollEvents {
        match Entry::of_inode(inode.0) {
            Some(Entry::File(_, file)) if file.pressure().is_some() => {
                self.triggers.poll(handle.0, waiter)
            }
            _ => super::trigger::READY,
        }
    }

    /// Forgets an open file and what hangs on it.
    pub(super) fn release(&self, handle: FileHandle) {
        self.triggers.remove(handle.0);
        self.open.remove(handle.0);
    }

    /// The content of an open file: made anew for whoever reads from its start, as procfs does
    /// (`top` keeps its files open), and kept for those who read on.
    pub(super) fn read(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        tid: u32,
        offset: u64,
    ) -> Result<Arc<[u8]>, Errno> {
        let (entry, owner) = file(inode)?;
        let caller = match self.open.get(handle.0) {
            Some(Open {
                content: Some(content),
                ..
            }) if offset > 0 => return Ok(content),
            Some(open) => Ok(open.caller),
            None => match self.resumed(handle, owner, tid) {
                Ok(Open {
                    content: Some(content),
                    ..
                }) if offset > 0 => return Ok(content),
                resumed => resumed.map(|open| open.caller),
            },
        };
        caller
            .and_then(|caller| {
                let content = self.content(entry, &caller)?;
                let open = Open {
                    caller,
                    content: Some(Arc::clone(&content)),
                    is_privileged: false,
                };
                self.open.keep(handle.0, open)?;
                Ok(content)
            })
            .map_err(|error| self.refused(entry, &error))
    }

    /// A file that was opened before this daemon's time.
    fn resumed(&self, handle: FileHandle, owner: Owner, tid: u32) -> Result<Open, RequestError> {
        let Some(before) = self.open.before(handle.0) else {
            return Ok(Open {
                caller: self.caller(owner, tid)?,
                content: None,
                is_privileged: false,
            });
        };
        let caller = match before.key {
            Some(key) => Caller::Container(self.answers.container(key)?),
            None => Caller::Host,
        };
        let open = Open {
            caller,
            content: before.content,
            is_privileged: before.is_privileged,
        };
        self.open.keep(handle.0, open.clone())?;
        Ok(open)
    }

    /// Counts an error that a reader gets, and logs it once for each cause.
    fn refused(&self, entry: Entry, error: &RequestError) -> Errno {
        metrics::FAILURES.count();
        let mut causes = self.causes.lock();
        let error_text = chain(error);
        if causes.len() < MOST_CAUSES && causes.insert(error_text.clone()) {
            tracing::warn!(file = %entry.path(), error = %error_text, "answered by an error");
        }
        error.errno()
    }

    /// What stands in a directory, each with its offset: a place in the order that stays its own,
    /// whatever comes and goes between two calls.
    pub(super) fn list(
        &self,
        inode: INodeNo,
        tid: u32,
    ) -> Result<Vec<(u64, String, Entry)>, RequestError> {
        let entry = Entry::of_inode(inode.0).ok_or(RequestError::Absent)?;
        let own = [".", ".."].map(|name| (name.to_owned(), entry));
        let named = own.into_iter().chain(entry.children());
        let caller = match entry.differs() {
            Some(owner) => Some(self.caller(owner, tid)?),
            None => None,
        };
        let is_there = |child: &Entry| match (child, &caller) {
            (Entry::File(_, file), Some(caller)) if file.pressure().is_some() => {
                self.answers.has_pressure(*file, caller)
            }
            _ => self.answers.has(&child.path()),
        };
        let mut list: Vec<_> = (1u64..)
            .zip(named)
            .filter(|(_, (_, child))| is_there(child))
            .map(|(offset, (name, child))| (offset, name, child))
            .collect();
        if let Some(caller) = &caller {
            list.extend(entry.members(&self.answers.shown(caller)?));
        }
        if entry == Entry::Containers {
            let known = self.answers.known().into_iter();
            list.extend(known.filter_map(|key| {
                let offset = key.checked_add(CONTAINERS_FROM)?;
                Some((offset, key.to_string(), Entry::container(key)?))
            }));
        }
        Ok(list)
    }
}

/// The file with that inode number, and whose it is.
fn file(inode: INodeNo) -> Result<(Entry, Owner), Errno> {
    match Entry::of_inode(inode.0) {
        Some(entry) if entry.is_directory() => Err(Errno::EISDIR),
        Some(entry @ (Entry::File(owner, _) | Entry::System(owner, _))) => Ok((entry, owner)),
        _ => Err(Errno::ENOENT),
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
