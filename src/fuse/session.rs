//! The requests of `/dev/fuse`: who asks for what, and which errno an error is.

use super::{
    open::{Open, OpenFiles, TooMany},
    tree::{Entry, Owner},
};
use crate::{
    answer::{AnswerError, Answers},
    container::{Caller, CallerError},
    files::{Attribute, FILES, Subject},
    metrics,
    sys::ReadError,
};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, Request,
};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    error::Error,
    ffi::OsStr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

// Names and attributes never change; what may end is a container.
const FOREVER: Duration = Duration::from_secs(3600);
const BRIEF: Duration = Duration::from_secs(1);
// Whether there is such a CPU differs from one caller to the next.
const NEVER: Duration = Duration::ZERO;
// Offsets in a directory: its own entries come first, then the containers by key.
const CONTAINERS_FROM: u64 = 255;
// A container may cause as many different errors as it likes; the log has an end.
const MOST_CAUSES: usize = 256;

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
enum RequestError {
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
}

impl RequestError {
    fn errno(&self) -> Errno {
        match self {
            RequestError::Container(error) if error.is_gone() => Errno::ENOENT,
            RequestError::IsHost | RequestError::Absent => Errno::ENOENT,
            RequestError::TooMany(_) => Errno::ENFILE,
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
    /// The causes of errors that were logged.
    causes: Mutex<HashSet<String>>,
}

impl Server {
    /// Serves those answers.
    #[must_use]
    pub fn new(answers: Arc<Answers>) -> Server {
        Server {
            sizes: FILES.iter().map(|file| answers.bound(*file)).collect(),
            attribute_size: answers.attribute_bound(),
            answers,
            open: OpenFiles::default(),
            causes: Mutex::default(),
        }
    }

    fn attributes(&self, entry: Entry) -> FileAttr {
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

    fn lookup(
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

    fn own(&self, tid: u32) -> Result<u64, RequestError> {
        match self.answers.caller(tid)? {
            Caller::Host => Err(RequestError::IsHost),
            Caller::Container(container) => Ok(container.key),
        }
    }

    fn open(&self, inode: INodeNo, tid: u32) -> Result<FileHandle, Errno> {
        let (entry, owner) = file(inode)?;
        let handle = self
            .caller(owner, tid)
            .and_then(|caller| Ok(self.open.add(caller)?))
            .map_err(|error| self.refused(entry, &error))?;
        Ok(FileHandle(handle))
    }

    /// The content of an open file: made anew for whoever reads from its start, as procfs does
    /// (`top` keeps its files open), and kept for those who read on.
    fn read(
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
            // The handle is of a daemon before this one.
            None => self.caller(owner, tid),
        };
        caller
            .and_then(|caller| {
                let content = self.content(entry, &caller)?;
                let open = Open {
                    caller,
                    content: Some(Arc::clone(&content)),
                };
                self.open.keep(handle.0, open)?;
                Ok(content)
            })
            .map_err(|error| self.refused(entry, &error))
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
    fn list(&self, inode: INodeNo, tid: u32) -> Result<Vec<(u64, String, Entry)>, RequestError> {
        let entry = Entry::of_inode(inode.0).ok_or(RequestError::Absent)?;
        let own = [".", ".."].map(|name| (name.to_owned(), entry));
        let named = own.into_iter().chain(entry.children());
        let is_there = |child: &Entry| match child {
            Entry::System(_, attribute) => self.answers.has(&attribute.path()),
            _ => true,
        };
        let mut list: Vec<_> = (1u64..)
            .zip(named)
            .filter(|(_, (_, child))| is_there(child))
            .map(|(offset, (name, child))| (offset, name, child))
            .collect();
        if let Some(owner) = entry.numbers() {
            let shown = self.answers.shown(&self.caller(owner, tid)?)?;
            list.extend(entry.members(&shown));
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

/// Runs the handler of one request. Should it panic, the request alone is lost: its reply, which
/// was moved into the handler, says EIO when it is dropped.
fn guarded(handler: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(handler)).is_err() {
        metrics::PANICS.count();
        tracing::error!("a request panicked and was answered EIO");
    }
}

impl Filesystem for Server {
    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        guarded(|| match self.lookup(parent, name, request.pid()) {
            Ok((ttl, entry)) => reply.entry(&ttl, &self.attributes(entry), Generation(0)),
            Err(error) => reply.error(error.errno()),
        });
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        guarded(|| match Entry::of_inode(inode.0) {
            Some(entry) => reply.attr(&BRIEF, &self.attributes(entry)),
            None => reply.error(Errno::ENOENT),
        });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        guarded(|| match Entry::of_inode(inode.0) {
            Some(Entry::Own) => match self.own(request.pid()) {
                Ok(key) => reply.data(key.to_string().as_bytes()),
                Err(error) => reply.error(error.errno()),
            },
            Some(Entry::Link(_, link)) => reply.data(link.target().as_bytes()),
            _ => reply.error(Errno::EINVAL),
        });
    }

    fn open(&self, request: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        guarded(|| match self.open(inode, request.pid()) {
            Ok(handle) => reply.opened(
                handle,
                FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH,
            ),
            Err(errno) => reply.error(errno),
        });
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        guarded(|| {
            // sendfile and splice fill the page cache, which belongs to the inode: the next
            // reader would be given these bytes, whoever that is. They fall back to read.
            if lock_owner.is_none() {
                return reply.error(Errno::EINVAL);
            }
            match self.read(inode, handle, request.pid(), offset) {
                Ok(content) => reply.data(slice(&content, offset, size)),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.open.remove(handle.0);
        reply.ok();
    }

    fn readdir(
        &self,
        request: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        guarded(|| {
            let list = match self.list(inode, request.pid()) {
                Ok(list) => list,
                Err(error) => return reply.error(error.errno()),
            };
            for (at, name, entry) in list.into_iter().filter(|(at, ..)| *at > offset) {
                let kind = self.attributes(entry).kind;
                if reply.add(INodeNo(entry.inode()), at, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // No blocks: df leaves such file systems out.
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
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

fn slice(content: &[u8], offset: u64, size: u32) -> &[u8] {
    let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
    let rest = content.get(start..).unwrap_or_default();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    rest.get(..size).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_where_the_content_ends() {
        assert_eq!(slice(b"abc", 1, 1), b"b");
        assert_eq!(slice(b"abc", 1, 100), b"bc");
        assert_eq!(slice(b"abc", 3, 1), b"");
        assert_eq!(slice(b"abc", u64::MAX, 1), b"");
    }
}
